"""Straight-through training on a uniform grid."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bitswitch.quant.granularity import grouped, ungrouped
from bitswitch.quant.grid import ROUNDINGS, Rounding, clip, grid_codes
from bitswitch.quant.quantizer import Number


def on_grid(
    x: Tensor,
    scale: Tensor,
    low: Number,
    high: Number,
    rounding: Rounding = "single",
    ratio: Number = 1.0,
    gain: Number = 1.0,
    slope: Rounding | None = None,
) -> Tensor:
    """Return ``scale * grid_codes(x, scale, ...)`` with straight-through gradients.

    With v = x / scale and q its code, the gradient is 1 to ``x`` where ``low <= v <= high``
    (bounds included, whatever the release of torch) and 0 elsewhere; to ``scale`` it is
    q - v inside and q outside, summed over what shares the scale, times ``gain``.

    Args:
        x: Real values, any shape.
        scale: Distance of two codes, positive; broadcasts to ``x``, or is one per group
            (``PerGroup``).
        low: Smallest code.
        high: Largest code.
        rounding: How a code becomes an integer.
        ratio: 2 ** (widest - bits).
        gain: Factor on the gradient of ``scale``.
        slope: Rounding that gives q in the gradient of ``scale``; None: ``rounding`` itself.

    Source: esser2020learned, Eq. 3-5; huang2025nearly, Eq. 13.
    """
    values, shared = grouped(x, scale)
    result: Tensor = _OnGrid.apply(values, shared, low, high, rounding, ratio, gain, slope)
    return ungrouped(result, x)


class _OnGrid(torch.autograd.Function):
    """Keeps ``x`` alone; codes are computed again in backward, in place on two buffers."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, *grid: Any) -> Tensor:
        low, high, rounding, ratio, *_ = grid
        ctx.save_for_backward(x, scale)
        ctx.grid = grid
        return grid_codes(x, scale, low, high, rounding, ratio).mul_(scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        x, scale = ctx.saved_tensors
        low, high, rounding, ratio, gain, slope = ctx.grid
        ratios = x / scale
        codes = clip(ratios, low, high)
        inside = torch.eq(codes, ratios, out=ratios)  # as numbers: ten times faster than booleans
        to_x = grad * inside if ctx.needs_input_grad[0] else None
        to_scale = None
        if ctx.needs_input_grad[1]:
            subtracted = inside.mul_(codes)
            error = ROUNDINGS[slope or rounding](codes, ratio).sub_(subtracted)
            to_scale = error.mul_(grad).sum_to_size(scale.shape) * gain
        return to_x, to_scale, *[None] * 6
