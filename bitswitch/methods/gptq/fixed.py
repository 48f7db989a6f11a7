"""Quantizers of weights whose codes have been chosen: what the weights are no longer matters."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bitswitch.methods.gptq.grids import Grid, GridRule, has_zero_points
from bitswitch.methods.gptq.nearest import NearestQuantizer
from bitswitch.methods.matquant.sliced import SlicedQuantizer
from bitswitch.quant.grid import at_least_float32
from bitswitch.quant.quantizer import Codes, Width
from bitswitch.quant.scale import Scale
from bitswitch.types import BitSet


class FixedNearestQuantizer(NearestQuantizer):
    """Weights rounded to nearest until ``fix`` says which codes they have at a bit-width.

    Then they get every gradient as it comes.

    Args:
        weight: Float weights [out, in, ...] that set the grids.
        bitset: Bit-widths, widest first.
        rule: Says which share a grid, and where it ends.

    >>> from bitswitch.quant.granularity import PerChannel
    >>> weight, width = torch.tensor([[0.5, -0.25, 3.0, -1.0]]), Width.of(4, (4, 2))
    >>> quantize = FixedNearestQuantizer(weight, (4, 2), GridRule(PerChannel(), "symmetric"))
    >>> grid = Grid(torch.tensor([[0.5]]), torch.tensor([[0.0]]))
    >>> quantize.fix(4, torch.tensor([[1, 0, 7, -3]]), grid)
    >>> quantize(weight, width).tolist()
    [[0.5, 0.0, 3.5, -1.5]]
    """

    codes: Tensor
    """int8 [bit-widths, out, in, ...]."""
    fixed: Tensor
    """bool [bit-widths]."""

    def __init__(self, weight: Tensor, bitset: BitSet, rule: GridRule) -> None:
        super().__init__(weight, bitset, rule)
        shape, place = (len(bitset), *weight.shape), weight.device
        self.register_buffer("codes", torch.zeros(shape, dtype=torch.int8, device=place))
        self.register_buffer("fixed", torch.zeros(len(bitset), dtype=torch.bool, device=place))

    @torch.no_grad()
    def fix(self, bits: int, codes: Tensor, grid: Grid) -> None:
        """Use ``codes`` [out, in, ...] and ``grid``, of the shape of the scales, at ``bits``."""
        for held, value in zip((self.scale, self.zero_point), grid, strict=True):
            held.of(bits).copy_(value)
        index = self.bitset.index(bits)
        self.codes[index] = codes.to(torch.int8)
        self.fixed[index] = True

    def forward(self, x: Tensor, width: Width) -> Tensor:
        nearest = super().forward(x, width)
        return torch.where(self.fixed[width.index], _held(self._codes(width), x), nearest)

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        nearest, codes = super().encode(x, width), self._codes(width)
        chosen = torch.where(self.fixed[width.index], codes.values, nearest.values)
        return nearest._replace(values=chosen)

    def _codes(self, width: Width) -> Codes:
        scale, zero_point = self.scale.at(width.index), self.zero_point.at(width.index)
        return Codes(self.codes[width.index].int(), scale, zero_point)


class FixedSlicedQuantizer(SlicedQuantizer):
    """Weights rounded to nearest on one wide grid until ``fix`` says which codes they have.

    Args:
        weight: Float weights [out, in, ...] that set the grids.
        bitset: Bit-widths, widest first.
        rule: Says which share a grid, and where it ends.

    >>> from bitswitch.quant.granularity import PerChannel
    >>> weight = torch.tensor([[0.5, -0.25, 3.0, -1.0]])
    >>> quantize = FixedSlicedQuantizer(weight, (4, 2), GridRule(PerChannel(), "symmetric"))
    >>> grid = Grid(torch.tensor([[0.5]]), torch.tensor([[0.0]]))
    >>> quantize.fix(torch.tensor([[1, -1, 7, -2]]), grid)
    >>> [quantize.encode(weight, Width.of(bits, (4, 2))).values.tolist() for bits in (4, 2)]
    [[[1, -1, 7, -2]], [[0, 0, 1, 0]]]
    """

    codes: Tensor
    """int8 [out, in, ...], at the widest bit-width."""
    fixed: Tensor
    """bool []."""

    def __init__(self, weight: Tensor, bitset: BitSet, rule: GridRule) -> None:
        super().__init__(bitset, rule.granularity)
        self.rule = rule
        rows = rule.granularity.rows(at_least_float32(weight.detach()))
        found = rule.fitted(rows, Width.of(bitset[0], bitset))
        shape = rule.granularity.scale_shape(weight.shape)
        self.scale = Scale(found.scale.reshape(shape))
        self.zero_point = nn.Parameter(found.zero_point.reshape(shape))
        self.register_buffer("codes", torch.zeros_like(weight, dtype=torch.int8))
        self.register_buffer("fixed", torch.zeros((), dtype=torch.bool, device=weight.device))

    @torch.no_grad()
    def fix(self, codes: Tensor, grid: Grid) -> None:
        """Use the widest ``codes`` [out, in, ...] and ``grid``, of the shape of the scales."""
        self.scale.copy_(grid.scale)
        self.zero_point.copy_(grid.zero_point)
        self.codes.copy_(codes)
        self.fixed.fill_(True)

    def grid(self, x: Tensor, width: Width) -> tuple[Tensor, Tensor]:
        return self.scale, self.zero_point

    def forward(self, x: Tensor, width: Width) -> Tensor:
        nearest = super().forward(x, width)
        return torch.where(self.fixed, _held(self._sliced(width), x), nearest)

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        nearest, sliced = super().encode(x, width), self._sliced(width)
        return nearest._replace(values=torch.where(self.fixed, sliced.values, nearest.values))

    def stored_scales(self, shape: Sequence[int], bitset: BitSet) -> int:
        """Return their number: zero points are stored where they are not 0."""
        return self.scale.numel() * (1 + has_zero_points(self.rule.kind))

    def _sliced(self, width: Width) -> Codes:
        return self.narrow(Codes(self.codes.int(), self.scale, self.zero_point), width)


def _held(codes: Codes, x: Tensor) -> Tensor:
    """Return what ``codes`` stand for; the gradient of ``x`` passes as if it were ``x``."""
    return codes.decode() + (x - x.detach())
