"""Weights moved by a low-rank adapter, of which narrower bit-widths use more."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bitswitch.quant.granularity import PerChannel
from bitswitch.quant.grid import at_least_float32
from bitswitch.quant.initial import measured
from bitswitch.quant.quantizer import Codes, Number, Quantizer, Width
from bitswitch.quant.shifted_grid import on_shifted_grid, shifted_codes
from bitswitch.types import BitSet

CLIP_LOGIT = 4.0
"""Of learned shares of the extremes at first: 0.982."""


class Groups(NamedTuple):
    """Bit-widths that share what they use of an adapter."""

    high: BitSet
    medium: BitSet
    low: BitSet

    @classmethod
    def of(cls, bitset: BitSet) -> "Groups":
        """Return the narrowest bit-width alone, and the wider and narrower half of the others.

        Where there are too few, groups coincide.

        >>> Groups.of((8, 7, 6, 5, 4))
        Groups(high=(8, 7), medium=(6, 5), low=(4,))
        >>> Groups.of((8, 4))
        Groups(high=(8,), medium=(8,), low=(4,))
        """
        others = bitset[:-1] or bitset
        half = -(-len(others) // 2)
        return cls(others[:half], others[half:] or others[:half], bitset[-1:])

    def ranks(self, rank: int) -> dict[int, int]:
        """Return how many columns of an adapter each bit-width uses, widest first."""
        found = {bits: rank for bits in self.high}
        found |= {bits: 2 * rank for bits in self.medium if bits not in found}
        return found | {bits: 3 * rank for bits in self.low if bits not in found}


class AdaptedQuantizer(Quantizer):
    """Weights plus an adapter, on a grid for each output and bit-width with learned ends.

    The adapter is a product of two thin matrices. All bit-widths use its first ranks, narrower
    groups further ones; at first the product is zero.

    Args:
        weight: Float weights [out, in, ...], for their shape.
        bitset: Bit-widths, widest first.
        rank: Of the adapter of the widest group; the others use two and three times as many.

    Source: xu2026quept, public code and Eq. 1 of its supplement.

    >>> weight = torch.tensor([[-1.0, 0.1, 0.5, 1.0]])
    >>> quantize = AdaptedQuantizer(weight, (4, 2), rank=1)
    >>> [quantize.encode(weight, Width.of(bits, (4, 2))).values.tolist() for bits in (4, 2)]
    [[[-8, 1, 4, 7]], [[-2, 0, 1, 1]]]
    """

    used: Tensor
    """[bit-widths, 3 * rank]: 1 where a bit-width uses a rank, else 0."""

    def __init__(self, weight: Tensor, bitset: BitSet, rank: int) -> None:
        super().__init__()
        self.bitset = bitset
        self.granularity = PerChannel()
        place, out, inputs = weight.device, len(weight), weight[0].numel()
        ranks = Groups.of(bitset).ranks(rank)
        used = [[float(one < ranks[bits]) for one in range(3 * rank)] for bits in bitset]
        self.register_buffer("used", torch.tensor(used, device=place), persistent=False)
        self.left = nn.Parameter(torch.zeros(out, 3 * rank, device=place))
        self.right = nn.Parameter(torch.empty(3 * rank, inputs, device=place))
        nn.init.kaiming_uniform_(self.right, a=math.sqrt(5))
        ends = torch.full((len(bitset), out), CLIP_LOGIT, device=place)
        self.low_share, self.high_share = nn.Parameter(ends), nn.Parameter(ends.clone())

    def forward(self, x: Tensor, width: Width) -> Tensor:
        return on_shifted_grid(*self._on(x, width))

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        return shifted_codes(*self._on(x, width))

    def stored_scales(self, shape: Sequence[int], bitset: BitSet) -> int:
        """Return their number, with zero points; every bit-width has weights of its own."""
        return 2 * len(bitset) * math.prod(self.granularity.scale_shape(shape))

    def _on(self, x: Tensor, width: Width) -> tuple[Tensor, Tensor, Tensor, Number, Number]:
        """Return the moved weights and their grid, zero included, which is a point of it."""
        adapter = (self.left * self.used[width.index]) @ self.right
        moved = at_least_float32(x) + adapter.reshape(x.shape)
        shape = self.granularity.scale_shape(x.shape)
        low = self.granularity.reduce(moved, torch.amin).clamp(max=0)
        high = self.granularity.reduce(moved, torch.amax).clamp(min=0)
        low = low * torch.sigmoid(self.low_share[width.index]).reshape(shape)
        high = high * torch.sigmoid(self.high_share[width.index]).reshape(shape)
        scale = measured((high - low) / width.unsigned_high)
        steps = (-low / scale).detach().round() + width.signed_low
        return moved, scale, -steps * scale, width.signed_low, width.signed_high
