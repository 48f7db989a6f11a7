"""EQ-Net: one quantizer for every combination of bit-width, symmetry and granularity."""

from typing import Literal

import torch
from torch import Tensor, nn

from bitswitch.quant.initial import measured
from bitswitch.quant.per_bit import PerBit
from bitswitch.quant.quantizer import Codes, Number, Quantizer, Width
from bitswitch.quant.range_search import Range
from bitswitch.quant.scale import Scale
from bitswitch.quant.shifted_grid import on_shifted_grid, shifted_codes
from bitswitch.quant.ste import on_grid
from bitswitch.types import BitSet

OffsetName = Literal["signed", "magnitude"]
"""``signed``: offsets are what they are; ``magnitude``: their absolute value, as published code."""

SMALLEST_STEP = 1e-6
"""Added to every step; public code."""
Variant = tuple[bool, bool]
"""(symmetric, per channel)."""


class GridChoice(PerBit):
    """Which variant is in use; switching the bit-width goes back to the deployed one."""

    def __init__(self, bitset: BitSet, deployed: Variant) -> None:
        nn.Module.__init__(self)
        self.keys = bitset
        self.deployed = deployed
        self.use(bitset[0])

    def pick(self) -> None:
        self.variant = self.deployed


class ElasticQuantizer(Quantizer):
    """Tables of step and offset by variant and bit-width.

    Args:
        bitset: Bit-widths, widest first.
        shapes: Shape of a step by variant; the deployed variant comes last.
        offsets: How offsets are read.
        device: Of the tables; None: where torch puts them.

    Source: xu2023eqnet (elastic quantization), public code.
    """

    def __init__(
        self,
        bitset: BitSet,
        shapes: dict[Variant, list[int]],
        offsets: OffsetName,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        self.bitset = bitset
        self.offsets = offsets
        # Where scales are listed, the last one of an operand stands for it: the deployed one.
        for variant, shape in shapes.items():
            ones = torch.ones(shape, device=device)
            setattr(self, f"scale_{_name(variant)}", PerBit(bitset, Scale(ones)))
            if not variant[0]:
                setattr(self, f"offset_{_name(variant)}", PerBit(bitset, torch.zeros_like(ones)))
        self.choice = GridChoice(bitset, variant)

    def choose(self, symmetric: bool, per_channel: bool = False) -> None:
        """Use this variant until the bit-width is switched."""
        self.choice.variant = symmetric, per_channel

    def table(self, kind: str, variant: Variant) -> PerBit:
        """Return the table of ``kind``, ``scale`` or ``offset``."""
        table = getattr(self, f"{kind}_{_name(variant)}")
        assert isinstance(table, PerBit)
        return table

    def bounds(self, width: Width) -> tuple[Number, Number]:
        """Return the smallest and the largest code."""
        return width.signed_low, width.signed_high

    def gain(self, x: Tensor, high: Number) -> Number:
        """Return the factor on gradients of step and offset."""
        return (high * x.numel()) ** -0.5

    def grid(self, width: Width) -> tuple[Tensor, Tensor]:
        """Return step and offset in use."""
        variant = self.choice.variant
        step = self.table("scale", variant).at(width.index).abs() + SMALLEST_STEP
        if variant[0]:
            return step, torch.zeros_like(step)
        offset = self.table("offset", variant).at(width.index)
        return step, offset.abs() if self.offsets == "magnitude" else offset

    # A compiled graph would be compiled again for every combination of variants in all layers.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, x: Tensor, width: Width) -> Tensor:
        low, high = self.bounds(width)
        step, offset = self.grid(width)
        x, gain = x.to(step.dtype), self.gain(x, high)
        if self.choice.variant[0]:
            return on_grid(x, step, low, high, gain=gain)
        return on_shifted_grid(x, step, offset, low, high, gain)

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        step, offset = self.grid(width)
        return shifted_codes(x.to(step.dtype), step, offset, *self.bounds(width))

    @torch.no_grad()
    def store(self, variant: Variant, bits: int, found: Range) -> None:
        """Keep a searched range as initial value of one table entry."""
        scale = self.table("scale", variant).of(bits)
        scale.copy_(measured(found.step).reshape(scale.shape))
        if not variant[0]:
            offset = self.table("offset", variant).of(bits)
            offset.copy_(found.offset.nan_to_num(0.0, 0.0, 0.0).reshape(offset.shape))


def _name(variant: Variant) -> str:
    symmetric, per_channel = variant
    return f"{'symmetric' if symmetric else 'asymmetric'}_{'channel' if per_channel else 'layer'}"
