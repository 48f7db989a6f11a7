"""Learned clip intervals: values in between become fractions of the interval's length."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bitswitch.quant.grid import clip, integers
from bitswitch.quant.initial import measured
from bitswitch.quant.per_bit import PerBit
from bitswitch.quant.quantizer import Codes, Number, Quantizer, Width
from bitswitch.types import BitSet

HALF_NORMAL = math.sqrt(1 - 2 / math.pi)
"""Standard deviation of |z| for a standard normal z."""


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
    x: Tensor, scale: Tensor, middle: Tensor, high: Number, worth: Number, start: float = 0.0
) -> Tensor:
    """Return ``worth * interval_codes(x, ...) + start`` with straight-through gradients.

    Rounding passes gradients on, clipping those of values between the bounds (bounds included,
    whatever the release of torch); so bounds learn from the values between them alone.

    Args:
        x: Real values, any shape.
        scale: See ``interval_codes``.
        middle: See ``interval_codes``; not learned.
        high: Largest code.
        worth: Of one code.
        start: Worth of code zero.
    """
    result: Tensor = _OnInterval.apply(x, scale, middle, high, worth, start)
    return result


class _OnInterval(torch.autograd.Function):
    """Keeps ``x`` alone; shares are computed again in backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, middle: Tensor, *grid: Any) -> Tensor:
        high, worth, start = grid
        ctx.save_for_backward(x, scale, middle)
        ctx.slope = high * worth
        values = interval_codes(x, scale, middle, high).mul_(worth)
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


def _deviation(values: Tensor) -> Tensor:
    """Return the standard deviation of ``values``, unbiased where there are several."""
    return values.std(correction=min(1, values.numel() - 1))


class IntervalWeightQuantizer(Quantizer):
    """Weights at one fixed bit-width, whatever the width asked for: from -1 to 1, evenly spaced.

    Bounds start three standard deviations from zero. What the interval is worth is left to the
    batch norm that follows.

    Args:
        weight: Float weights [out, in, ...] that set the initial bounds.
        bits: The fixed bit-width.

    Source: zhong2025mbquant, and its public code.
    """

    middle: Tensor

    def __init__(self, weight: Tensor, bits: int = 2) -> None:
        super().__init__()
        self.high = 2.0**bits - 1
        spread = measured(3 * _deviation(weight.detach().float()))
        self.scale = nn.Parameter(spread.repeat(2))
        self.register_buffer("middle", torch.zeros(()))

    def forward(self, x: Tensor, width: Width) -> Tensor:
        return on_interval(
            x.to(self.scale.dtype), self.scale, self.middle, self.high, 2 / self.high, -1.0
        )

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        codes = interval_codes(x.to(self.scale.dtype), self.scale, self.middle, self.high)
        return Codes(integers(codes), self.scale.new_tensor(2 / self.high), -1.0)

    def narrow(self, codes: Codes, width: Width) -> Codes:
        """Return ``codes``: they are the same at every width."""
        return codes


class IntervalActivationQuantizer(Quantizer):
    """Activations between two learned bounds per bit-width: from 0 to 1, evenly spaced.

    Until ``initialize`` has seen values the bounds are -1 and 1.

    Args:
        bitset: Bit-widths, widest first.

    Source: zhong2025mbquant, and its public code.
    """

    middle: Tensor

    def __init__(self, bitset: BitSet) -> None:
        super().__init__()
        self.bitset = bitset
        self.scale = PerBit(bitset, torch.ones(2))
        self.register_buffer("middle", torch.zeros(()))

    def forward(self, x: Tensor, width: Width) -> Tensor:
        scale, high = self.scale.at(width.index), width.unsigned_high
        return on_interval(x.to(scale.dtype), scale, self.middle, high, 1 / high)

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        scale, high = self.scale.at(width.index), float(width.unsigned_high)
        codes = interval_codes(x.to(scale.dtype), scale, self.middle, high)
        return Codes(integers(codes), scale.new_tensor(1 / high))

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Set all bounds to the minimum and to three deviations of an unfolded half-normal."""
        values = observed.detach().float().flatten()
        low, high = values.min(), 3 * _deviation(values) / HALF_NORMAL
        self.middle.copy_((high + low) / 2)
        for bits in self.bitset:
            self.scale.of(bits).copy_(measured((high - low) / 2).repeat(2))
