"""Straight-through training on a grid between the two ends of a clipped range."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bitswitch.quant.quantizer import Number


class ClippedGrid(NamedTuple):
    """2^b points at equal distances on [0, 1], or on [-1, 1], both ends included."""

    signed: bool
    """Which of them; the signed grid has no point at zero."""
    levels: Number
    """2^b - 1."""
    half: Number
    """2^(b-1)."""

    def codes(self, x: Tensor, clip: Tensor | None) -> Tensor:
        """Return codes of ``x``, as floats: 0 ... levels, or -half ... half - 1 where signed.

        Args:
            x: Any shape; NaN stays NaN, infinities go to the ends.
            clip: What the grid is multiplied by [], None for 1.

        >>> ClippedGrid(False, 3.0, 2.0).codes(torch.tensor([-1.0, 0.4, 9.0]), None)
        tensor([0., 1., 3.])
        """
        points = self.nearest(self.clipped(ratios(x, clip)))
        return points.sub_(self.half) if self.signed else points

    def affine(self, clip: Tensor) -> tuple[Tensor, Tensor | float]:
        """Return scale and zero point, given the clip []."""
        scale = clip / self.levels
        return (2 * scale, scale) if self.signed else (scale, 0.0)

    def clipped(self, x: Tensor) -> Tensor:
        """Return a new tensor, ``x`` clipped to the range."""
        return torch.clamp(x, -1.0 if self.signed else 0.0, 1.0)

    def nearest(self, clipped: Tensor) -> Tensor:
        """Turn clipped values, in place, into positions 0 ... ``levels`` of the nearest points."""
        if self.signed:
            return clipped.add_(1).mul_(self.levels / 2).round_()  # halved exactly
        return clipped.mul_(self.levels).round_()


def ratios(x: Tensor, clip: Tensor | None) -> Tensor:
    """Return ``x / clip``, ``x`` itself where there is none."""
    return x if clip is None else x / clip


def on_clipped_grid(
    x: Tensor, clip: Tensor | None, signed: bool, levels: Number, half: Number
) -> Tensor:
    """Return the nearest point of the grid times ``clip``, with straight-through gradients.

    The gradient is 1 to ``x`` in the range, ends included, and 0 elsewhere. To the clip it is
    (y - x) / clip in the range, with y the point, and y / clip elsewhere: 1 above, 0 or -1 below.

    Args:
        x: Any shape.
        clip: Upper end of the range [], positive; None for 1.
        signed: Whether the lower end is ``-clip`` instead of 0.
        levels: 2^b - 1.
        half: 2^(b-1).

    Source: zhou2016dorefa, section 2.4; jin2020sat (gradient to the clip). In its code the ends
    are not part of the range, which only values exactly there can tell.
    """
    result: Tensor = _OnClippedGrid.apply(x, clip, signed, levels, half)
    return result


class _OnClippedGrid(torch.autograd.Function):
    """Keeps ``x`` alone; points are computed again in backward."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, clip: Tensor | None, signed: bool, levels: Number, half: Number
    ) -> Tensor:
        ctx.save_for_backward(x, clip)
        ctx.grid = signed, levels, half
        grid = ClippedGrid(signed, levels, half)
        scale, zero_point = grid.affine(x.new_ones(()) if clip is None else clip)
        values = grid.codes(x, clip).mul_(scale)
        return values.add_(zero_point) if signed else values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, clip = ctx.saved_tensors
        grid = ClippedGrid(*ctx.grid)
        values = ratios(x, clip)
        clipped = grid.clipped(values)
        inside = torch.eq(clipped, values, out=torch.empty_like(clipped))
        to_x = grads[0] * inside if ctx.needs_input_grad[0] else None
        to_clip = None
        if clip is not None and ctx.needs_input_grad[1]:
            subtracted = inside.mul_(clipped)
            points = grid.nearest(clipped).div_(grid.levels)
            points = points.mul_(2).sub_(1) if grid.signed else points
            to_clip = points.sub_(subtracted).mul_(grads[0]).sum().reshape(clip.shape)
        return to_x, to_clip, None, None, None
