"""Steps that quantize given values with the least squared error."""

import torch
from torch import Tensor

from bitswitch.quant.grid import at_least_float32, grid_codes
from bitswitch.quant.initial import measured, sampled
from bitswitch.quant.lsq import ActivationQuantizer
from bitswitch.runtime import transfers
from bitswitch.types import BitSet

_CANDIDATES = 100
"""The largest code is tried at so many equal shares of the largest magnitude."""

_MOST_VALUES = 2**14
"""Of more activations than this, evenly spaced ones and the extremes are used."""


def squared_error_scale(rows: Tensor, low: float, high: float) -> Tensor:
    """Return the scales [m] of grids ``low``...``high`` nearest to each row of ``rows`` [m, n].

    Rows of zeros get the scale 1.

    Args:
        rows: Real values.
        low: Smallest code, at most 0.
        high: Largest code, positive.

    Source: wei2022qdrop; xu2024ptmq (initial scales by mean squared error).
    """
    largest = rows.abs().amax(1, keepdim=True) / max(-low, high)
    best = largest.clone()
    least = torch.full_like(largest, torch.inf)
    for candidate in range(1, _CANDIDATES + 1):
        scale = measured(largest * (candidate / _CANDIDATES))
        error = (grid_codes(rows, scale, low, high) * scale - rows).square().mean(1, keepdim=True)
        better = error <= least
        best, least = torch.where(better, scale, best), torch.where(better, error, least)
    return best.squeeze(1)


class SquaredErrorActivationQuantizer(ActivationQuantizer):
    """Activations with a learned scale per bit-width that starts at the least squared error.

    Args:
        bitset: Bit-widths, widest first.
        gradient_scale: As in ``LearnedScaleQuantizer``.

    Source: wei2022qdrop; xu2024ptmq.

    >>> from bitswitch.quant.quantizer import Width
    >>> quantize = SquaredErrorActivationQuantizer((2,))
    >>> quantize.initialize(torch.tensor([0.0, 1.0, 2.0, 3.0]))
    >>> codes = quantize.encode(torch.tensor([-1.0, 0.4, 0.9, 3.0]), Width.of(2, (2,)))
    >>> codes.values.tolist(), codes.scale
    ([0, 0, 1, 3], tensor(1.))
    """

    def __init__(self, bitset: BitSet, gradient_scale: bool = True) -> None:
        super().__init__(bitset, gradient_scale=gradient_scale)

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Set signedness and all scales from ``observed``: unsigned unless a value is negative."""
        values = at_least_float32(observed.detach()).flatten()
        self.signed = bool(transfers.to_host((values < 0).any()))
        sample = sampled(values, _MOST_VALUES)
        for bits in self.bitset:
            low = -(2.0 ** (bits - 1)) if self.signed else 0.0
            high = 2.0 ** (bits - 1) - 1 if self.signed else 2.0**bits - 1
            self.scale.of(bits).copy_(squared_error_scale(sample[None], low, high)[0])
