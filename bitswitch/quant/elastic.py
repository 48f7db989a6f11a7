"""EQ-Net: one quantizer for every combination of bit-width, symmetry and granularity."""

from typing import Literal

import torch
from torch import Tensor, nn

from bitswitch.quant.initial import measured
from bitswitch.quant.per_bit import PerBit
from bitswitch.quant.quantizer import Codes, Number, Quantizer, Width
from bitswitch.quant.range_search import Range, search_range
from bitswitch.quant.shifted_grid import on_shifted_grid, shifted_codes
from bitswitch.quant.ste import on_grid
from bitswitch.types import BitSet

OffsetName = Literal["signed", "magnitude"]
"""``signed``: offsets are what they are; ``magnitude``: their absolute value, as published code."""

CANDIDATES = 80
POWER = 2.4
"""Of the search for initial ranges; public code."""
SMALLEST_STEP = 1e-6
"""Added to every step; public code."""
UNSIGNED_OFFSET = -1e-9
"""Initial offset where no value is negative; public code."""
_MOST_VALUES = 2**13
"""A range is searched on so many evenly spaced activations."""

Variant = tuple[bool, bool]
"""(symmetric, per channel)."""


class Choice(PerBit):
    """Which variant is in use; switching the bit-width goes back to the deployed one."""

    def __init__(self, bitset: BitSet, deployed: Variant) -> None:
        nn.Module.__init__(self)
        self.bitset = bitset
        self.deployed = deployed
        self.switch(bitset[0])

    def switch(self, bits: int) -> None:
        self.bits = bits
        self.variant = self.deployed


class ElasticQuantizer(Quantizer):
    """Tables of step and offset by variant and bit-width.

    Args:
        bitset: Bit-widths, widest first.
        shapes: Shape of a step by variant; the deployed variant comes last.
        offsets: How offsets are read.

    Source: xu2023eqnet (elastic quantization), public code.
    """

    def __init__(
        self, bitset: BitSet, shapes: dict[Variant, list[int]], offsets: OffsetName
    ) -> None:
        super().__init__()
        self.bitset = bitset
        self.offsets = offsets
        # Where scales are listed, the last one of an operand stands for it: the deployed one.
        for variant, shape in shapes.items():
            setattr(self, f"scale_{_name(variant)}", PerBit(bitset, torch.ones(shape)))
            if not variant[0]:
                setattr(self, f"offset_{_name(variant)}", PerBit(bitset, torch.zeros(shape)))
        self.choice = Choice(bitset, variant)

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
    def _store(self, variant: Variant, bits: int, found: Range) -> None:
        """Keep a searched range as initial value of one table entry."""
        scale = self.table("scale", variant).of(bits)
        scale.copy_(measured(found.step).reshape(scale.shape))
        if not variant[0]:
            offset = self.table("offset", variant).of(bits)
            offset.copy_(found.offset.nan_to_num(0.0, 0.0, 0.0).reshape(offset.shape))


class ElasticWeightQuantizer(ElasticQuantizer):
    """Weights: symmetric or not, one step per layer or per output channel.

    Args:
        weight: Float weights [out, in, ...] that set the initial ranges.
        bitset: Bit-widths, widest first.
        deployed: Variant in use unless another is chosen.
        offsets: How offsets are read.
        channel_candidates: Candidates of the search per channel where symmetric.
    """

    def __init__(
        self,
        weight: Tensor,
        bitset: BitSet,
        deployed: Variant = (True, True),
        offsets: OffsetName = "signed",
        channel_candidates: int = CANDIDATES,
    ) -> None:
        per_channel = [len(weight), *[1] * (weight.dim() - 1)]
        variants = [(s, c) for s in (False, True) for c in (False, True) if (s, c) != deployed]
        shapes = {v: per_channel if v[1] else [] for v in (*variants, deployed)}
        super().__init__(bitset, shapes, offsets)
        self.channel_candidates = channel_candidates
        self.initialize(weight)

    def gain(self, x: Tensor, high: Number) -> Number:
        """Return 1 / sqrt(Qp * weights), or 2 / sqrt(Qp * weights / in) per channel."""
        if not self.choice.variant[1]:
            return super().gain(x, high)
        return 2 * (high * (x.numel() / x.shape[1])) ** -0.5

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Search the range of every table entry on the weights."""
        for symmetric in (False, True):
            for per_channel in (False, True):
                rows = observed.detach().float().reshape(len(observed) if per_channel else 1, -1)
                few = symmetric and per_channel
                candidates = self.channel_candidates if few else CANDIDATES
                for bits in self.bitset:
                    codes = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
                    ends = _ends(rows, symmetric)
                    found = search_range(rows, ends, codes, symmetric, candidates, POWER)
                    self._store((symmetric, per_channel), bits, found)


class ElasticActivationQuantizer(ElasticQuantizer):
    """Activations: symmetric or not, one step per layer; signed only where they need it.

    Args:
        bitset: Bit-widths, widest first.
        symmetric: Variant in use unless another is chosen.
        offsets: How offsets are read.
    """

    def __init__(
        self, bitset: BitSet, symmetric: bool = True, offsets: OffsetName = "signed"
    ) -> None:
        super().__init__(bitset, {(not symmetric, False): [], (symmetric, False): []}, offsets)
        self.signed = False

    def bounds(self, width: Width) -> tuple[Number, Number]:
        """Return the signed or the unsigned range."""
        return super().bounds(width) if self.signed else (0.0, width.unsigned_high)

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Set signedness, and search the ranges on ``observed`` values."""
        values = observed.detach().float().flatten()
        self.signed = bool((values < UNSIGNED_OFFSET).any())
        every = -(-values.numel() // _MOST_VALUES)
        rows = torch.cat([values[::every], torch.stack(values.aminmax())])[None]
        rows = values[None] if every == 1 else rows
        for symmetric in (False, True):
            for bits in self.bitset:
                low, high = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
                codes = (low, high) if self.signed else (0.0, high - low)
                ends = _ends(rows, symmetric)
                if symmetric and not self.signed:
                    ends = torch.zeros_like(ends[0]), ends[1]
                found = search_range(rows, ends, codes, symmetric, CANDIDATES, POWER)
                if not symmetric and not self.signed:
                    found = found._replace(offset=torch.full_like(found.offset, UNSIGNED_OFFSET))
                self._store((symmetric, False), bits, found)

    def get_extra_state(self) -> Tensor:
        """Return the signedness, which the tables alone do not tell."""
        return torch.tensor(self.signed)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the signedness from a state dict."""
        self.signed = bool(state)


def _name(variant: Variant) -> str:
    symmetric, per_channel = variant
    return f"{'symmetric' if symmetric else 'asymmetric'}_{'channel' if per_channel else 'layer'}"


def _ends(rows: Tensor, symmetric: bool) -> tuple[Tensor, Tensor]:
    """Return smallest and largest value of every row, or the largest magnitude on both sides."""
    if symmetric:
        peak = rows.abs().amax(1, keepdim=True)
        return -peak, peak
    return rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
