"""Weights squashed by tanh and normalised to [-1, 1]: DoReFa, Any-Precision, AdaBits."""

from collections.abc import Sequence

import torch
from torch import Tensor

from bitswitch.quant.grid import at_least_float32, integers
from bitswitch.quant.quantizer import Codes, Quantizer, Width
from bitswitch.quant.tanh_grid import Rescale, Scheme, cell, grid_gain, on_tanh_grid, tanh_codes
from bitswitch.types import BitSet

__all__ = ["Rescale", "Scheme", "TanhQuantizer"]


class TanhQuantizer(Quantizer):
    """Weights w as points of a grid for tanh(w) / max|tanh(w)|.

    Nothing is learned but the weights. All-zero weights are in the middle of the grid.

    Args:
        scheme: The grid.
        rescale: What multiplies it.

    Source: zhou2016dorefa, section 2.3 (``original``); jin2020adabits, its code (``modified``,
    ``centered``); yu2021anyprecision, its code (rescale ``mean``); jin2020sat (``constant``,
    ``stddev``).

    >>> weight = torch.tensor([[0.5, -0.25, 0.0, -1.0]])
    >>> codes = TanhQuantizer("centered").encode(weight, Width.of(2, (2,)))
    >>> codes.values.tolist(), codes.scale, codes.zero_point
    ([[1, -1, 0, -2]], tensor(0.5000), tensor(0.2500))
    """

    def __init__(self, scheme: Scheme, rescale: Rescale = "none") -> None:
        super().__init__()
        self.scheme = scheme
        self.rescale = rescale

    def forward(self, x: Tensor, width: Width) -> Tensor:
        levels, half = width.unsigned_high, -width.signed_low
        return on_tanh_grid(at_least_float32(x), self.scheme, self.rescale, levels, half)

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        return self._with_scale(at_least_float32(x), self._codes(x, width), width)

    @torch.no_grad()
    def narrow(self, codes: Codes, width: Width) -> Codes:
        """Return the codes of ``width``, which are the widest ones shifted right.

        Their scale follows from them; with rescale ``stddev`` up to rounding.

        Raises:
            NotImplementedError: the scheme is ``original``, whose codes do not nest.
        """
        if self.scheme == "original":
            raise NotImplementedError("Codes of scheme 'original' do not follow from wider ones.")
        narrow = codes.values >> (int(width.ratio).bit_length() - 1)
        return self._with_scale(codes.decode(), narrow.to(codes.scale.dtype), width)

    def stored_scales(self, shape: Sequence[int], bitset: BitSet) -> int:
        """Return the number of multipliers: one, or where they need the codes one per bit-width."""
        return len(bitset) if self.rescale in ("constant", "stddev") else 1

    @torch.no_grad()
    def gain(self, x: Tensor, width: Width) -> Tensor:
        """Return the number [] that multiplies the grid of weights ``x`` at ``width``."""
        codes = self._codes(x, width)
        return grid_gain(at_least_float32(x), codes, self.scheme, self.rescale, width.unsigned_high)

    def _codes(self, x: Tensor, width: Width) -> Tensor:
        return tanh_codes(at_least_float32(x), self.scheme, width.unsigned_high, -width.signed_low)

    def _with_scale(self, weight: Tensor, codes: Tensor, width: Width) -> Codes:
        gain = grid_gain(weight, codes, self.scheme, self.rescale, width.unsigned_high)
        scale, zero_point = cell(self.scheme, width.unsigned_high)
        return Codes(integers(codes), gain * scale, gain * zero_point)
