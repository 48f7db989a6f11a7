"""Learned clip intervals: values in between become fractions of the interval's length."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bitswitch.quant.grid import clip
from bitswitch.quant.quantizer import Number


def interval_codes(x: Tensor, scale: Tensor, middle: Tensor, high: Number) -> Tensor:
    """Return round(high * (x - l) / (u - l)) clipped to ``[0, high]``, as floats.

    Args:
        x: Real values, any shape; NaN stays NaN.
        scale: Distances [2] of the upper bound u and the lower bound l from ``middle``; positive.
        middle: 0-d, between the bounds.
        high: Largest code.

    >>> interval_codes(torch.tensor([-2.0, 0.0, 0.4]), torch.ones(2), torch.zeros(()), 3.0)
    tensor([0., 2., 2.])
    """
    shares = _shares(x, scale, middle)
    return clip(shares, 0.0, 1.0, out=shares).mul_(high).round_()


def on_interval(
    x: Tensor, scale: Tensor, middle: Tensor, high: Number, code_scale: Number, start: float = 0.0
) -> Tensor:
    """Return ``code_scale * interval_codes(x, ...) + start`` with straight-through gradients.

    Rounding passes gradients on, clipping those of values between the bounds (bounds included,
    whatever the release of torch); so bounds learn from the values between them alone.

    Args:
        x: Real values, any shape.
        scale: See ``interval_codes``.
        middle: See ``interval_codes``; not learned.
        high: Largest code.
        code_scale: Distance of two codes in what is returned.
        start: Value of code zero.
    """
    result: Tensor = _OnInterval.apply(x, scale, middle, high, code_scale, start)
    return result


class _OnInterval(torch.autograd.Function):
    """Keeps ``x`` alone; shares are computed again in backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, middle: Tensor, *grid: Any) -> Tensor:
        high, code_scale, start = grid
        ctx.save_for_backward(x, scale, middle)
        ctx.slope = high * code_scale
        values = interval_codes(x, scale, middle, high).mul_(code_scale)
        return values.add_(start) if start else values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, middle = ctx.saved_tensors
        shares = _shares(x, scale, middle)
        clipped = clip(shares, 0.0, 1.0)
        inside = torch.eq(clipped, shares, out=shares)
        to_x = inside.mul_(grads[0]).mul_(ctx.slope / scale.sum())
        to_scale = None
        if ctx.needs_input_grad[1]:
            upwards = clipped.mul_(to_x).sum()
            to_scale = torch.stack([-upwards, to_x.sum() - upwards])
        return to_x, to_scale, *[None] * 4


def _shares(x: Tensor, scale: Tensor, middle: Tensor) -> Tensor:
    """Return where ``x`` lies between the bounds: 0 at the lower, 1 at the upper one."""
    return (x - (middle - scale[1])).div_(scale.sum())
