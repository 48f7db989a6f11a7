"""Straight-through training on a uniform grid whose zero lies anywhere."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bitswitch.quant.grid import clip, grid_codes, integers
from bitswitch.quant.quantizer import Codes, Number


def on_shifted_grid(
    x: Tensor, step: Tensor, offset: Tensor, low: Number, high: Number, gain: Number = 1.0
) -> Tensor:
    """Return ``step * code + offset`` with straight-through gradients.

    With v = (x - offset) / step and q its code, the gradient is 1 to ``x`` where
    ``low <= v <= high`` (bounds included) and 0 elsewhere; to ``offset`` it is 0 inside and 1
    outside; to ``step`` it is q - v inside and q outside. Those of ``step`` and ``offset`` are
    summed over what shares them, and multiplied by ``gain``.

    Args:
        x: Real values, any shape.
        step: Worth of one code, positive; broadcasts to ``x``.
        offset: Worth of code zero; broadcasts to ``x``.
        low: Smallest code.
        high: Largest code.
        gain: Factor on the gradients of ``step`` and ``offset``.

    Source: xu2023eqnet, public code.
    """
    result: Tensor = _OnShiftedGrid.apply(x, step, offset, low, high, gain)
    return result


@torch.no_grad()
def shifted_codes(x: Tensor, step: Tensor, offset: Tensor, low: Number, high: Number) -> Codes:
    """Return what is deployed for ``on_shifted_grid`` of the same arguments."""
    codes = grid_codes(x - offset, step, low, high)
    return Codes(integers(codes), step.detach().clone(), offset.detach().clone())


class _OnShiftedGrid(torch.autograd.Function):
    """Keeps ``x`` alone; codes are computed again in backward."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        step: Tensor,
        offset: Tensor,
        low: Number,
        high: Number,
        gain: Number,
    ) -> Tensor:
        ctx.save_for_backward(x, step, offset)
        ctx.grid = low, high, gain
        return grid_codes(x - offset, step, low, high).mul_(step).add_(offset)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        x, step, offset = ctx.saved_tensors
        low, high, gain = ctx.grid
        ratios = (x - offset).div_(step)
        codes = clip(ratios, low, high)
        inside = torch.eq(codes, ratios, out=ratios)  # as numbers, which is faster
        to_x = grad * inside if ctx.needs_input_grad[0] else None
        to_step = to_offset = None
        if ctx.needs_input_grad[2]:
            to_offset = (1 - inside).mul_(grad).sum_to_size(offset.shape) * gain
        if ctx.needs_input_grad[1]:
            subtracted = inside.mul_(codes)
            error = codes.round_().sub_(subtracted)
            to_step = error.mul_(grad).sum_to_size(step.shape) * gain
        return to_x, to_step, to_offset, None, None, None
