"""Weights on a grid of their own for every bit-width: to the nearest point, or as codes say."""

from collections.abc import Sequence

import torch
from torch import Tensor

from bitswitch.methods.gptq.grids import GridRule, has_zero_points
from bitswitch.quant.grid import at_least_float32
from bitswitch.quant.per_bit import PerBit
from bitswitch.quant.quantizer import Codes, Number, Quantizer, Width
from bitswitch.quant.scale import Scale
from bitswitch.quant.shifted_grid import on_shifted_grid, shifted_codes
from bitswitch.types import BitSet


class NearestQuantizer(Quantizer):
    """Round to nearest (RTN): scale and zero point of every bit-width come from the weights.

    Args:
        weight: Float weights [out, in, ...] that set the grids.
        bitset: Bit-widths, widest first.
        rule: Says which share a grid, and where it ends.

    >>> from bitswitch.quant.granularity import PerChannel
    >>> weight = torch.tensor([[0.5, -0.25, 3.0, -1.0]])
    >>> quantize = NearestQuantizer(weight, (4, 2), GridRule(PerChannel(), "symmetric"))
    >>> [quantize.encode(weight, Width.of(bits, (4, 2))).values.tolist() for bits in (4, 2)]
    [[[1, -1, 7, -2]], [[0, 0, 1, 0]]]
    """

    def __init__(self, weight: Tensor, bitset: BitSet, rule: GridRule) -> None:
        super().__init__()
        self.bitset = bitset
        self.granularity = rule.granularity
        self.rule = rule
        shape = rule.granularity.scale_shape(weight.shape)
        self.scale = PerBit(bitset, Scale(torch.ones(shape, device=weight.device)))
        self.zero_point = PerBit(bitset, torch.zeros(shape, device=weight.device))
        self.initialize(weight)

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Set the grids of all bit-widths from ``observed`` weights [out, in, ...]."""
        for bits in self.bitset:
            self.fit(observed, bits)

    @torch.no_grad()
    def fit(self, weight: Tensor, bits: int) -> None:
        """Set the grids of ``bits`` from ``weight`` [out, in, ...]."""
        rows = self.granularity.rows(at_least_float32(weight.detach()))
        found = self.rule.fitted(rows, Width.of(bits, self.bitset))
        for held, value in zip((self.scale, self.zero_point), found, strict=True):
            held.of(bits).copy_(value.reshape(held.of(bits).shape))

    def forward(self, x: Tensor, width: Width) -> Tensor:
        return on_shifted_grid(*self._on(x, width))

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        return shifted_codes(*self._on(x, width))

    def stored_scales(self, shape: Sequence[int], bitset: BitSet) -> int:
        """Return their number at all bit-widths, with the zero points that are not 0."""
        return (1 + has_zero_points(self.rule.kind)) * super().stored_scales(shape, bitset)

    def _on(self, x: Tensor, width: Width) -> tuple[Tensor, Tensor, Tensor, Number, Number]:
        """Return ``x`` and its grid."""
        scale, zero_point = self.scale.at(width.index), self.zero_point.at(width.index)
        return (x.to(scale.dtype), scale, zero_point, *self.rule.bounds(width))
