"""Straight-through training on a uniform grid whose zero lies anywhere."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bitswitch.quant.granularity import grouped, ungrouped
from bitswitch.quant.grid import clip, grid_codes, integers
from bitswitch.quant.quantizer import Codes, Number


def on_shifted_grid(
    x: Tensor, scale: Tensor, zero_point: Tensor, low: Number, high: Number, gain: Number = 1.0
) -> Tensor:
    """Return ``scale * code + zero_point`` with straight-through gradients.

    With v = (x - zero_point) / scale and q its code, the gradient is 1 to ``x`` where
    ``low <= v <= high`` (bounds included) and 0 elsewhere; to ``zero_point`` it is 0 inside and 1
    outside; to ``scale`` it is q - v inside and q outside. Both are summed over what shares them
    and multiplied by ``gain``.

    Args:
        x: Real values, any shape.
        scale: Distance of two codes, positive; broadcasts to ``x``, or is one per group
            (``PerGroup``).
        zero_point: Real value of code zero, in units of ``x``; of the shape of ``scale``.
        low: Smallest code.
        high: Largest code.
        gain: Factor on the gradients of ``scale`` and ``zero_point``.

    Source: xu2023eqnet, public code.
    """
    values, shared = grouped(x, scale)
    _, zeros = grouped(x, zero_point)
    result: Tensor = _OnShiftedGrid.apply(values, shared, zeros, low, high, gain)
    return ungrouped(result, x)


@torch.no_grad()
def shifted_codes(x: Tensor, scale: Tensor, zero_point: Tensor, low: Number, high: Number) -> Codes:
    """Return what is deployed for ``on_shifted_grid`` of the same arguments."""
    values, shared = grouped(x, scale)
    codes = ungrouped(grid_codes(values - grouped(x, zero_point)[1], shared, low, high), x)
    return Codes(integers(codes), scale.detach().clone(), zero_point.detach().clone())


class _OnShiftedGrid(torch.autograd.Function):
    """Keeps ``x`` alone; codes are computed again in backward."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        zero_point: Tensor,
        low: Number,
        high: Number,
        gain: Number,
    ) -> Tensor:
        ctx.save_for_backward(x, scale, zero_point)
        ctx.grid = low, high, gain
        return grid_codes(x - zero_point, scale, low, high).mul_(scale).add_(zero_point)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        x, scale, zero_point = ctx.saved_tensors
        low, high, gain = ctx.grid
        ratios = (x - zero_point).div_(scale)
        codes = clip(ratios, low, high)
        inside = torch.eq(codes, ratios, out=ratios)  # as numbers, which is faster
        to_x = grad * inside if ctx.needs_input_grad[0] else None
        to_scale = to_zero_point = None
        if ctx.needs_input_grad[2]:
            to_zero_point = (1 - inside).mul_(grad).sum_to_size(zero_point.shape) * gain
        if ctx.needs_input_grad[1]:
            subtracted = inside.mul_(codes)
            error = codes.round_().sub_(subtracted)
            to_scale = error.mul_(grad).sum_to_size(scale.shape) * gain
        return to_x, to_scale, to_zero_point, None, None, None
