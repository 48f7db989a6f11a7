"""Elastic quantizers of weights and activations, and how their ranges start."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from bitswitch.methods.eq_net.elastic import ElasticQuantizer, Variant, ZeroPointSign
from bitswitch.quant.granularity import PER_TENSOR, PerChannel
from bitswitch.quant.grid import at_least_float32
from bitswitch.quant.initial import sampled
from bitswitch.quant.quantizer import Number, Width
from bitswitch.quant.range_search import search_range
from bitswitch.runtime import transfers
from bitswitch.types import BitSet

GRANULARITIES = PER_TENSOR, PerChannel()
"""Of weights."""
DEPLOYED = Variant(True, PerChannel())
"""Of weights, unless another is chosen."""
CANDIDATES = 80
POWER = 2.4
"""Of the search for initial ranges; public code."""
Candidates = Annotated[int, Field(ge=1, le=100, exclude_if=lambda count: count == CANDIDATES)]
"""How many are tried, the widest first."""
UNSIGNED_ZERO_POINT = -1e-9
"""Initial zero point where no value is negative; public code."""
_MOST_VALUES = 2**13
"""A range is searched on so many evenly spaced activations."""


class ElasticWeightQuantizer(ElasticQuantizer):
    """Weights: symmetric or not, one scale per tensor or per output channel.

    Args:
        weight: Float weights [out, in, ...] that set the initial ranges.
        bitset: Bit-widths, widest first.
        deployed: Variant in use unless another is chosen.
        zero_points: How zero points are read.
        channel_candidates: Candidates of the search per channel where symmetric.
        candidates: Of all other searches.

    >>> weight = torch.tensor([[0.5, -0.25, 0.0, -1.0]])
    >>> codes = ElasticWeightQuantizer(weight, (4, 2)).encode(weight, Width.of(2, (4, 2)))
    >>> codes.values.tolist(), codes.scale
    ([[1, -1, 0, -2]], tensor([[0.4467]]))
    """

    def __init__(
        self,
        weight: Tensor,
        bitset: BitSet,
        deployed: Variant = DEPLOYED,
        zero_points: ZeroPointSign = "signed",
        channel_candidates: int = CANDIDATES,
        candidates: int = CANDIDATES,
    ) -> None:
        variants = [Variant(s, g) for s in (False, True) for g in GRANULARITIES]
        variants.sort(key=lambda variant: variant == deployed)  # goes last, others keep their order
        shapes = {v: v.granularity.scale_shape(weight.shape) for v in variants}
        super().__init__(bitset, shapes, zero_points, weight.device)
        self.channel_candidates, self.candidates = channel_candidates, candidates
        self.initialize(weight)

    def gain(self, x: Tensor, high: Number) -> Number:
        """Return 1 / sqrt(Qp * weights), or 2 / sqrt(Qp * weights / in) per channel."""
        if self.choice.variant.granularity == PER_TENSOR:
            return super().gain(x, high)
        return 2 * (high * (x.numel() / x.shape[1])) ** -0.5

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Search the range of every table entry on the weights."""
        for symmetric in (False, True):
            for granularity in GRANULARITIES:
                rows = granularity.rows(at_least_float32(observed.detach()))
                few = symmetric and granularity != PER_TENSOR
                candidates = self.channel_candidates if few else self.candidates
                for bits in self.bitset:
                    codes = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
                    ends = _ends(rows, symmetric)
                    found = search_range(rows, ends, codes, symmetric, candidates, POWER)
                    self.store(Variant(symmetric, granularity), bits, found)


class ElasticActivationQuantizer(ElasticQuantizer):
    """Activations: symmetric or not, one scale per tensor; signed only where they need it.

    Args:
        bitset: Bit-widths, widest first.
        symmetric: Variant in use unless another is chosen.
        zero_points: How zero points are read.
        candidates: Of the searches for initial ranges.

    >>> quantize = ElasticActivationQuantizer((4, 2))
    >>> quantize.initialize(torch.linspace(-1, 3, 41))
    >>> codes = quantize.encode(torch.tensor([-1.0, 0.4, 0.9, 3.0]), Width.of(4, (4, 2)))
    >>> codes.values.tolist(), codes.scale
    ([-3, 1, 2, 7], tensor(0.3920))
    """

    def __init__(
        self,
        bitset: BitSet,
        symmetric: bool = True,
        zero_points: ZeroPointSign = "signed",
        candidates: int = CANDIDATES,
    ) -> None:
        super().__init__(bitset, {Variant(not symmetric): (), Variant(symmetric): ()}, zero_points)
        self.candidates = candidates
        self.signed = False

    def bounds(self, width: Width) -> tuple[Number, Number]:
        """Return the signed or the unsigned range."""
        return super().bounds(width) if self.signed else (0.0, width.unsigned_high)

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Set signedness, and search the ranges on ``observed`` values."""
        values = at_least_float32(observed.detach()).flatten()
        self.signed = bool(transfers.to_host((values < UNSIGNED_ZERO_POINT).any()))
        rows = sampled(values, _MOST_VALUES)[None]
        for symmetric in (False, True):
            for bits in self.bitset:
                low, high = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
                codes = (low, high) if self.signed else (0.0, high - low)
                ends = _ends(rows, symmetric)
                if symmetric and not self.signed:
                    ends = torch.zeros_like(ends[0]), ends[1]
                found = search_range(rows, ends, codes, symmetric, self.candidates, POWER)
                if not symmetric and not self.signed:
                    zero_point = torch.full_like(found.zero_point, UNSIGNED_ZERO_POINT)
                    found = found._replace(zero_point=zero_point)
                self.store(Variant(symmetric), bits, found)

    def get_extra_state(self) -> Tensor:
        """Return the signedness, which the tables alone do not tell."""
        return torch.tensor(self.signed)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the signedness from a state dict."""
        self.signed = bool(transfers.to_host(state))


def _ends(rows: Tensor, symmetric: bool) -> tuple[Tensor, Tensor]:
    """Return smallest and largest value of every row, or the largest magnitude on both sides."""
    if symmetric:
        peak = rows.abs().amax(1, keepdim=True)
        return -peak, peak
    return rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
