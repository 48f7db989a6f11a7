"""Straight-through training on slices of a grid: wide codes, rounded half up to fewer bits."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bitswitch.quant.granularity import grouped, ungrouped
from bitswitch.quant.grid import grid_codes
from bitswitch.quant.quantizer import Number, Width


class Slices(NamedTuple):
    """The grid of one bit-width."""

    low: Number
    """Smallest code at the widest bit-width."""
    high: Number
    """Largest code there."""
    ratio: Number
    """2 ** (widest - bits)."""
    largest: Number
    """Largest code at this bit-width; infinite where codes that round beyond it stay there."""

    @classmethod
    def of(cls, width: Width, clamp: bool) -> "Slices":
        """Return the grid of ``width``; ``clamp`` keeps its codes in its range."""
        half = -width.signed_low * width.ratio
        return cls(-half, half - 1, width.ratio, width.signed_high if clamp else torch.inf)

    def wide(self, x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
        """Return the widest codes of ``x``, as floats."""
        return grid_codes(x - zero_point, scale, self.low, self.high)

    def narrowed(self, wide: Tensor) -> Tensor:
        """Return the codes of this bit-width, in place: nearest, ties up."""
        return wide.div_(self.ratio).add_(0.5).floor_().clamp_(max=self.largest)


def on_sliced_grid(x: Tensor, scale: Tensor, zero_point: Tensor, slices: Slices) -> Tensor:
    """Return ``scale * ratio * code + zero_point`` with straight-through gradients.

    With v = (x - zero_point) / scale and q its code, both in units of the widest grid, the gradient
    is 1 to ``x`` where v rounds to a code of the widest range whose slice was not clamped, else 0;
    to ``zero_point`` it is 0 there, else 1; to ``scale`` it is q - v there, else q.

    Args:
        x: Real values, any shape.
        scale: Distance of two of the widest codes, positive; broadcasts to ``x``, or is one per
            group (``PerGroup``).
        zero_point: Real value of code zero, in units of ``x``; of the shape of ``scale``.
        slices: The grid.

    Source: nair2025matryoshka, Eq. 4 and 6 (slicing), with its clamp.
    """
    values, shared = grouped(x, scale)
    _, zeros = grouped(x, zero_point)
    result: Tensor = _OnSlicedGrid.apply(values, shared, zeros, slices)
    return ungrouped(result, x)


@torch.no_grad()
def wide_codes(x: Tensor, scale: Tensor, zero_point: Tensor, slices: Slices) -> Tensor:
    """Return the widest codes of ``x``, as floats."""
    values, shared = grouped(x, scale)
    return ungrouped(slices.wide(values, shared, grouped(x, zero_point)[1]), x)


class _OnSlicedGrid(torch.autograd.Function):
    """Keeps ``x`` alone; codes are computed again in backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero_point: Tensor, slices: Slices) -> Tensor:
        ctx.save_for_backward(x, scale, zero_point)
        ctx.slices = slices
        codes = slices.narrowed(slices.wide(x, scale, zero_point))
        return codes.mul_(scale * slices.ratio).add_(zero_point)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        x, scale, zero_point = ctx.saved_tensors
        slices = ctx.slices
        ratios = (x - zero_point).div_(scale)
        wide = slices.wide(x, scale, zero_point)
        unclamped = wide.div(slices.ratio).add_(0.5).floor_() <= slices.largest
        rounded = ratios.round()
        inside = (rounded >= slices.low) & (rounded <= slices.high) & unclamped
        inside = inside.to(grad.dtype)
        to_x = grad * inside if ctx.needs_input_grad[0] else None
        to_scale = to_zero_point = None
        if ctx.needs_input_grad[2]:
            to_zero_point = (1 - inside).mul_(grad).sum_to_size(zero_point.shape)
        if ctx.needs_input_grad[1]:
            error = slices.narrowed(wide).mul_(slices.ratio).sub_(ratios.mul_(inside))
            to_scale = error.mul_(grad).sum_to_size(scale.shape)
        return to_x, to_scale, to_zero_point, None
