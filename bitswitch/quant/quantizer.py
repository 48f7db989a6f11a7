"""What every quantizer is: ``forward`` trains, ``encode`` deploys, and both agree exactly."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bitswitch.quant.granularity import PER_TENSOR, Granularity, grouped, ungrouped
from bitswitch.quant.scale import Scale, ScaleHolder
from bitswitch.types import BitSet

Number = float | Tensor
"""A Python number (eager), or a 0-d tensor (one compiled graph for all bit-widths)."""


class Width(NamedTuple):
    """One bit-width of a bit set, as data.

    Quantizers compute from these fields and never branch on them, so that a graph compiled once
    serves every bit-width: the fields are then 0-d tensors instead of Python numbers.
    """

    bits: Number
    """The bit-width b."""
    index: int | Tensor  # type: ignore[assignment]  # hides tuple.index
    """Position of b in the bit set, 0 is the widest."""
    ratio: Number
    """2 ** (widest - b), exact."""
    signed_low: Number
    """-2 ** (b - 1)."""
    signed_high: Number
    """2 ** (b - 1) - 1."""
    unsigned_high: Number
    """2 ** b - 1."""

    @classmethod
    def of(cls, bits: int, bitset: BitSet) -> "Width":
        """Return the width ``bits`` of ``bitset`` as Python numbers."""
        return cls(
            bits=bits,
            index=bitset.index(bits),
            ratio=2.0 ** (max(bitset) - bits),
            signed_low=-(2.0 ** (bits - 1)),
            signed_high=2.0 ** (bits - 1) - 1,
            unsigned_high=2.0**bits - 1,
        )


class Codes(NamedTuple):
    """Integers as deployed, and the real values they stand for: ``values * scale + zero_point``."""

    values: Tensor
    """int32, the shape of the encoded tensor."""
    scale: Tensor
    """Distance of two codes; broadcasts to ``values``, or is one per group (``PerGroup``)."""
    zero_point: Tensor | float = 0.0
    """Real value of code zero, in units of the encoded tensor; it need not be on the grid."""

    def decode(self) -> Tensor:
        """Return the real values, as precise as the scale; bit for bit what ``forward`` gave."""
        values, scale = grouped(self.values, self.scale)
        zero_point = self.zero_point
        if isinstance(zero_point, Tensor):
            _, zero_point = grouped(self.values, zero_point)
        return ungrouped(values.to(scale.dtype) * scale + zero_point, self.values)


class Quantizer(ScaleHolder):
    """Fake quantization of one operand of one layer at every bit-width of a bit set.

    A subclass implements ``forward`` and ``encode``. A learned scale is a ``Scale``; one for every
    bit-width is a ``PerBit`` of a ``Scale``. ``forward`` is deterministic: a layer calls it again
    in backward rather than keep its result.
    """

    granularity: Granularity = PER_TENSOR
    """Which values of the operand share a scale."""
    batch_parts: int = 1
    """In how many equal parts a training batch comes, of an operand that has a row per example:
    factors on gradients that count the values of a batch count those of all parts."""

    def forward(self, x: Tensor, width: Width) -> Tensor:
        """Return ``x`` on the grid of ``width``, same shape, with straight-through gradients."""
        raise NotImplementedError

    def encode(self, x: Tensor, width: Width) -> Codes:
        """Return the integers that are deployed for ``x`` at ``width``."""
        raise NotImplementedError

    def narrow(self, codes: Codes, width: Width) -> Codes:
        """Return the codes of ``width``, rebuilt from the widest ``codes`` and nothing else.

        Only where that is possible: the card then says ``codes``.
        """
        raise NotImplementedError

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Set the scales from ``observed`` values of the operand; default: nothing to set."""

    def scales(self) -> dict[str, Scale]:
        """Return the learned scales of all bit-widths, by name inside the quantizer."""
        return {name: p for name, p in self.named_parameters() if isinstance(p, Scale)}

    def stored_scales(self, shape: Sequence[int], bitset: BitSet) -> int:
        """Return how many scales are kept for an operand that is stored; default: the learned ones.

        Args:
            shape: Of the operand, a weight.
            bitset: Bit-widths at which it is used.
        """
        return sum(scale.numel() for scale in self.scales().values())
