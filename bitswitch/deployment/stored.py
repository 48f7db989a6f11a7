"""One quantized layer as it is kept: integers at the widest bit-width, and all scales."""

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from bitswitch.deployment.description import LayerFacts
from bitswitch.deployment.layers import IntegerLayer
from bitswitch.deployment.narrowing import narrow
from bitswitch.deployment.snapshot import InputGrid, Operands, TokenGrid
from bitswitch.quant.integer import signed_range

INT32_MAX = 2**31 - 1


class Scales(NamedTuple):
    """All scales of one layer."""

    weight: Tensor
    """float32 [1 or widths, 1 or out], per group [1 or widths, out, groups]; one row: the widest,
    powers of two below."""
    weight_zero_point: Tensor | None
    """Alike, real value of code zero; one row: of all bit-widths. None: 0."""
    inputs: Tensor | None
    """float32 [widths]; None: the input stays float, or every token has a scale of its own."""
    input_zero_point: Tensor | None
    """float32 [widths], real value of code zero; None: 0."""

    def to(self, device: object) -> "Scales":
        """Return the same on ``device``."""
        return Scales(*(None if t is None else t.to(device) for t in self))  # type: ignore[arg-type, call-overload]


class Bound(NamedTuple):
    """The largest magnitude that an accumulator, or one of its partial sums, can reach."""

    by_range: int
    """Whatever the codes of the weights are."""
    by_codes: int
    """With the codes that they are."""

    @property
    def fits_int32(self) -> bool:
        """Whether 32 bits hold every partial sum."""
        return self.by_codes <= INT32_MAX


class StoredLayer:
    """Gives the operands of one layer at any bit-widths.

    Args:
        facts: What the file says of it.
        layer: Holds the stored codes.
        scales: On the device of the layer.
        keep_narrow: Keep the codes of a bit-width once it was used.
    """

    def __init__(
        self, facts: LayerFacts, layer: IntegerLayer, scales: Scales, keep_narrow: bool
    ) -> None:
        self.facts = facts
        self.layer = layer
        self.scales = scales
        self.keep_narrow = keep_narrow
        self.kept: dict[int, Tensor] = {}
        """Narrow codes by bit-width."""
        self._weights = {bits: self._scales_at(row) for row, bits in enumerate(facts.widths)}
        self._grids: dict[int, InputGrid | TokenGrid] = {}
        if facts.input_granularity == "per-token":
            self._grids = {bits: TokenGrid.at(bits) for bits in facts.widths}
        elif scales.inputs is not None:
            self._grids = dict(self._input_grids(scales.inputs))

    def at(self, bits: tuple[int, int], codes: Tensor | None = None) -> Operands:
        """Return what the layer computes with at ``bits``, (weight, input).

        Args:
            bits: Of its bit-widths.
            codes: Of the weights there, where they are known.
        """
        weight, inputs = bits
        codes = self._codes(weight) if codes is None else codes
        return Operands(bits, codes, *self._weights[weight], self._grids.get(inputs))

    def bound(self) -> Bound | None:
        """Return the worst case, which is at the widest bit-widths; None where inputs are float."""
        widest = self.facts.widths[0]
        part = self.at(self.facts.pinned or (widest, widest))
        if part.grid is None:
            return None
        largest = max(-part.grid.low, part.grid.high)
        groups = [group.codes for group in part.groups()]
        sums = max(int(codes.flatten(1).short().abs().sum(1).max()) for codes in groups)
        by_range = groups[0][0].numel() * -signed_range(part.bits[0])[0]
        return Bound(by_range * largest, sums * largest)

    def _codes(self, bits: int) -> Tensor:
        """Return the codes of ``bits``, those that are kept where they are there."""
        if bits in self.kept:
            return self.kept[bits]
        codes = narrow(self.layer.codes, self.facts.widths[0], bits, self.facts.rounding)
        if self.keep_narrow and bits != self.facts.widths[0]:
            self.kept[bits] = codes  # two threads may both do so: their codes are the same
        return codes

    def _scales_at(self, row: int) -> tuple[Tensor, Tensor | None]:
        """Return scale and zero point of weights at one bit-width."""
        scales, widths = self.scales, self.facts.widths
        zero_point = scales.weight_zero_point
        if zero_point is not None:
            zero_point = zero_point[row if len(zero_point) > 1 else 0]
        if len(scales.weight) > 1:
            return scales.weight[row], zero_point
        return scales.weight[0] * 2.0 ** (widths[0] - widths[row]), zero_point

    def _input_grids(self, inputs: Tensor) -> Iterator[tuple[int, InputGrid]]:
        """Yield the grid of the input at every bit-width."""
        zero_points = self.scales.input_zero_point
        for row, bits in enumerate(self.facts.widths):
            low, high = signed_range(bits) if self.facts.signed else (0, 2**bits - 1)
            zero_point = None if zero_points is None else zero_points[row]
            yield bits, InputGrid(inputs[row], zero_point, low, high)
