"""Weights and inputs between learned bounds, as fractions of the interval between them."""

import math

import torch
from torch import Tensor

from bitswitch.methods.mbquant.interval import interval_codes, on_interval
from bitswitch.quant.grid import at_least_float32, integers
from bitswitch.quant.initial import measured
from bitswitch.quant.per_bit import PerBit
from bitswitch.quant.quantizer import Codes, Quantizer, Width
from bitswitch.quant.scale import Scale
from bitswitch.types import BitSet

HALF_NORMAL = math.sqrt(1 - 2 / math.pi)
"""Standard deviation of |z| for a standard normal z."""


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

    >>> weight = torch.tensor([[0.5, -0.25, 0.0, -1.0]])
    >>> codes = IntervalWeightQuantizer(weight).encode(weight, Width.of(2, (2,)))
    >>> codes.values.tolist(), codes.scale, codes.zero_point
    ([[2, 1, 2, 1]], tensor(0.6667), -1.0)
    """

    middle: Tensor

    def __init__(self, weight: Tensor, bits: int = 2) -> None:
        super().__init__()
        self.high = 2.0**bits - 1
        spread = measured(3 * _deviation(at_least_float32(weight.detach())))
        self.scale = Scale(spread.repeat(2))
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

    >>> quantize = IntervalActivationQuantizer((2,))
    >>> codes = quantize.encode(torch.tensor([-1.0, 0.4, 0.9, 3.0]), Width.of(2, (2,)))
    >>> codes.values.tolist(), codes.scale
    ([0, 2, 3, 3], tensor(0.3333))
    """

    middle: Tensor

    def __init__(self, bitset: BitSet) -> None:
        super().__init__()
        self.bitset = bitset
        self.scale = PerBit(bitset, Scale(torch.ones(2)))
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
        values = at_least_float32(observed.detach()).flatten()
        low, high = values.min(), 3 * _deviation(values) / HALF_NORMAL
        self.middle.copy_((high + low) / 2)
        for bits in self.bitset:
            self.scale.of(bits).copy_(measured((high - low) / 2).repeat(2))
