"""Elastic quantizers of weights and activations, and how their ranges start."""

import torch
from torch import Tensor

from bitswitch.methods.eq_net.elastic import ElasticQuantizer, OffsetName, Variant
from bitswitch.quant.grid import at_least_float32
from bitswitch.quant.initial import sampled
from bitswitch.quant.quantizer import Number, Width
from bitswitch.quant.range_search import search_range
from bitswitch.runtime import transfers
from bitswitch.types import BitSet

CANDIDATES = 80
POWER = 2.4
"""Of the search for initial ranges; public code."""
UNSIGNED_OFFSET = -1e-9
"""Initial offset where no value is negative; public code."""
_MOST_VALUES = 2**13
"""A range is searched on so many evenly spaced activations."""


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
        super().__init__(bitset, shapes, offsets, weight.device)
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
                rows = at_least_float32(observed.detach()).reshape(
                    len(observed) if per_channel else 1, -1
                )
                few = symmetric and per_channel
                candidates = self.channel_candidates if few else CANDIDATES
                for bits in self.bitset:
                    codes = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
                    ends = _ends(rows, symmetric)
                    found = search_range(rows, ends, codes, symmetric, candidates, POWER)
                    self.store((symmetric, per_channel), bits, found)


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
        values = at_least_float32(observed.detach()).flatten()
        self.signed = bool(transfers.to_host((values < UNSIGNED_OFFSET).any()))
        rows = sampled(values, _MOST_VALUES)[None]
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
                self.store((symmetric, False), bits, found)

    def get_extra_state(self) -> Tensor:
        """Return the signedness, which the tables alone do not tell."""
        return torch.tensor(self.signed)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the signedness from a state dict."""
        self.signed = bool(state)


def _ends(rows: Tensor, symmetric: bool) -> tuple[Tensor, Tensor]:
    """Return smallest and largest value of every row, or the largest magnitude on both sides."""
    if symmetric:
        peak = rows.abs().amax(1, keepdim=True)
        return -peak, peak
    return rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
