"""EQ-Net: one quantizer for every combination of bit-width, symmetry and granularity."""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from bitswitch.quant.granularity import PER_TENSOR, Granularity
from bitswitch.quant.initial import measured
from bitswitch.quant.per_bit import PerBit, read_offsets
from bitswitch.quant.quantizer import Codes, Number, Quantizer, Width
from bitswitch.quant.range_search import Range
from bitswitch.quant.scale import Scale
from bitswitch.quant.shifted_grid import on_shifted_grid, shifted_codes
from bitswitch.quant.ste import on_grid
from bitswitch.types import BitSet

ZeroPointSign = Literal["signed", "magnitude"]
"""``signed``: zero points are what they are; ``magnitude``: their absolute value; public code."""

SMALLEST_SCALE = 1e-6
"""Added to every scale; public code."""


class Variant(NamedTuple):
    """One kind of grid."""

    symmetric: bool
    granularity: Granularity = PER_TENSOR

    @property
    def key(self) -> str:
        """Its name in state dicts."""
        symmetry = "symmetric" if self.symmetric else "asymmetric"
        return f"{symmetry}_{'layer' if self.granularity == PER_TENSOR else 'channel'}"


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
    """Tables of scale and zero point by variant and bit-width.

    Args:
        bitset: Bit-widths, widest first.
        shapes: Shape of a scale by variant; the deployed variant comes last.
        zero_points: How zero points are read.
        device: Of the tables; None: where torch puts them.

    Source: xu2023eqnet (elastic quantization), public code.
    """

    def __init__(
        self,
        bitset: BitSet,
        shapes: dict[Variant, tuple[int, ...]],
        zero_points: ZeroPointSign,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        self.bitset = bitset
        self.zero_points = zero_points
        # Where scales are listed, the last one of an operand stands for it: the deployed one.
        for variant, shape in shapes.items():
            ones = torch.ones(shape, device=device)
            setattr(self, f"scale_{variant.key}", PerBit(bitset, Scale(ones)))
            if not variant.symmetric:
                setattr(self, f"zero_point_{variant.key}", PerBit(bitset, torch.zeros_like(ones)))
        self.choice = GridChoice(bitset, variant)
        self.granularity = variant.granularity

    def choose(self, variant: Variant) -> None:
        """Use ``variant`` until the bit-width is switched."""
        self.choice.variant = variant

    def table(self, kind: str, variant: Variant) -> PerBit:
        """Return the table of ``kind``, ``scale`` or ``zero_point``."""
        table = getattr(self, f"{kind}_{variant.key}")
        assert isinstance(table, PerBit)
        return table

    def bounds(self, width: Width) -> tuple[Number, Number]:
        """Return the smallest and the largest code."""
        return width.signed_low, width.signed_high

    def gain(self, x: Tensor, high: Number) -> Number:
        """Return the factor on gradients of scale and zero point."""
        return (high * x.numel() * self.batch_parts) ** -0.5

    def grid(self, width: Width) -> tuple[Tensor, Tensor]:
        """Return scale and zero point in use."""
        variant = self.choice.variant
        scale = self.table("scale", variant).at(width.index).abs() + SMALLEST_SCALE
        if variant.symmetric:
            return scale, torch.zeros_like(scale)
        zero_point = self.table("zero_point", variant).at(width.index)
        return scale, zero_point.abs() if self.zero_points == "magnitude" else zero_point

    # A compiled graph would be compiled again for every combination of variants in all layers.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, x: Tensor, width: Width) -> Tensor:
        low, high = self.bounds(width)
        scale, zero_point = self.grid(width)
        x, gain = x.to(scale.dtype), self.gain(x, high)
        if self.choice.variant.symmetric:
            return on_grid(x, scale, low, high, gain=gain)
        return on_shifted_grid(x, scale, zero_point, low, high, gain)

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        scale, zero_point = self.grid(width)
        return shifted_codes(x.to(scale.dtype), scale, zero_point, *self.bounds(width))

    @torch.no_grad()
    def store(self, variant: Variant, bits: int, found: Range) -> None:
        """Keep a searched range as initial value of one table entry."""
        scale = self.table("scale", variant).of(bits)
        scale.copy_(measured(found.scale).reshape(scale.shape))
        if not variant.symmetric:
            zero_point = self.table("zero_point", variant).of(bits)
            zero_point.copy_(found.zero_point.nan_to_num(0.0, 0.0, 0.0).reshape(zero_point.shape))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Load as every module does, under names of before too."""
        read_offsets(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)
