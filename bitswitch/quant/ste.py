"""Straight-through training on a uniform grid."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bitswitch.quant.grid import ROUNDINGS, Rounding, clip, grid_codes
from bitswitch.quant.quantizer import Number


def on_grid(
    x: Tensor,
    step: Tensor,
    low: Number,
    high: Number,
    rounding: Rounding = "single",
    ratio: Number = 1.0,
    gain: Number = 1.0,
    slope: Rounding | None = None,
) -> Tensor:
    """Return ``step * grid_codes(x, step, ...)`` with straight-through gradients.

    With v = x / step and q its code, the gradient is 1 to ``x`` where ``low <= v <= high``
    (bounds included, whatever the release of torch) and 0 elsewhere; to ``step`` it is
    q - v inside and q outside, summed over what shares the step, times ``gain``.

    Args:
        x: Real values, any shape.
        step: Worth of one code; broadcasts to ``x``.
        low: Smallest code.
        high: Largest code.
        rounding: How a code becomes an integer.
        ratio: 2 ** (widest - bits).
        gain: Factor on the gradient of ``step``.
        slope: Rounding that gives q in the gradient of ``step``; None: ``rounding`` itself.

    Source: esser2020learned, Eq. 3-5; huang2025nearly, Eq. 13.
    """
    result: Tensor = _OnGrid.apply(x, step, low, high, rounding, ratio, gain, slope)
    return result


class _OnGrid(torch.autograd.Function):
    """Keeps ``x`` alone; codes are computed again in backward, in place on two buffers."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, *grid: Any) -> Tensor:
        low, high, rounding, ratio, *_ = grid
        ctx.save_for_backward(x, step)
        ctx.grid = grid
        return grid_codes(x, step, low, high, rounding, ratio).mul_(step)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        x, step = ctx.saved_tensors
        low, high, rounding, ratio, gain, slope = ctx.grid
        ratios = x / step
        codes = clip(ratios, low, high)
        inside = torch.eq(codes, ratios, out=ratios)  # as numbers: ten times faster than booleans
        to_x = grad * inside if ctx.needs_input_grad[0] else None
        to_step = None
        if ctx.needs_input_grad[1]:
            subtracted = inside.mul_(codes)
            error = ROUNDINGS[slope or rounding](codes, ratio).sub_(subtracted)
            to_step = error.mul_(grad).sum_to_size(step.shape) * gain
        return to_x, to_step, *[None] * 6
