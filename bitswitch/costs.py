"""What a policy costs: one cost model for every search method, printed with its convention.

BitOps are multiply-accumulates times both bit-widths; size counts weights and their scales, not
batch norms and biases; average bits are means over the counted layers. ``FirstLastCosts`` says what
becomes of first and last layers; others that stay float always count, at 32 bits.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Literal, NamedTuple

from bitswitch.errors import SpecError
from bitswitch.types import FLOAT_BITS, BitSet, Policy

CostName = Literal[
    "bitops", "size", "average-bits", "weighted-average-bits", "activation-bits", "latency"
]
"""``average-bits``: every layer counts the same; ``weighted-average-bits``: by its weights;
``activation-bits``: mean bit-width of inputs by their elements."""
FirstLastCosts = Literal["excluded", "counted"]
"""Whether costs leave out first and last layers, or count them at their fixed bit-width, 32 where
they are float."""
LayerKind = Literal["conv", "linear", "other"]
"""``other``: a layer with weights of another kind, e.g. a transposed convolution or an LSTM."""
SCALE_BITS = 32
"""Of one stored scale."""


class LayerShape(NamedTuple):
    """What one layer with weights computes for one image."""

    name: str
    kind: LayerKind
    weights: int
    """Elements of the weight."""
    macs: int
    """Multiply-accumulates."""
    inputs: int
    """Elements of the input."""
    scales: int
    """Weight scales that are stored, whatever the bit-width."""
    in_channels: int
    out_channels: int
    kernel: int
    """Side of the kernel; 1 where there is none."""
    stride: int
    groups: int
    fixed_bits: int | None
    """Bit-width that no policy changes, 32 for float; None: the layer is switchable."""
    is_first_last: bool = False
    """Whether it sees the image, or makes the output."""
    float_input: bool = False
    """Whether its input is at full precision, whatever a policy says."""

    @property
    def is_depthwise(self) -> bool:
        """Whether every channel is convolved on its own."""
        return self.groups == self.in_channels and self.groups > 1


class Costs(NamedTuple):
    """All costs of one policy."""

    bitops: float
    """Multiply-accumulates times weight bits times activation bits, of one image."""
    size: float
    """Bits of weights and of their scales."""
    average_bits: float
    """Mean weight bit-width; every layer counts the same."""
    weighted_average_bits: float
    """Mean bit-width of a weight."""
    activation_bits: float
    """Mean bit-width of an input element."""
    latency: float | None
    """Milliseconds by the latency table, None without one."""

    def of(self, cost: CostName) -> float:
        """Return one of them by name.

        Raises:
            SpecError: latency without a table.
        """
        value: float | None = getattr(self, cost.replace("-", "_"))
        if value is None:
            raise SpecError("The budget is on latency, but there is no latency table: name one.")
        return value


Latencies = Mapping[tuple[str, int, int], float]
"""Milliseconds by (layer, weight bits, activation bits)."""


@dataclass(frozen=True)
class CostModel:
    """Costs of policies of one network. Every cost is a sum over layers, divided by a constant."""

    shapes: Sequence[LayerShape]
    """All layers with weights, first to last."""
    first_last: FirstLastCosts = "excluded"
    latencies: Latencies | None = None

    @cached_property
    def layers(self) -> list[LayerShape]:
        """The switchable layers, first to last."""
        return [shape for shape in self.shapes if shape.fixed_bits is None]

    @cached_property
    def counted(self) -> list[LayerShape]:
        """The layers that costs count."""
        return [
            shape
            for shape in self.shapes
            if self.first_last == "counted" or not shape.is_first_last
        ]

    @cached_property
    def _weights(self) -> int:
        return sum(shape.weights for shape in self.counted)

    @cached_property
    def _inputs(self) -> int:
        return sum(shape.inputs for shape in self.counted)

    def costs(self, policy: Policy) -> Costs:
        """Return all costs of ``policy``, which names every switchable layer."""
        latency = None if self.latencies is None else self.total("latency", policy)
        return Costs(
            self.total("bitops", policy),
            self.total("size", policy),
            self.total("average-bits", policy),
            self.total("weighted-average-bits", policy),
            self.total("activation-bits", policy),
            latency,
        )

    def total(self, cost: CostName, policy: Policy) -> float:
        """Return one cost of ``policy``."""
        return sum(self.part(cost, shape, *_bits(shape, policy)) for shape in self.counted)

    def fixed(self, cost: CostName) -> float:
        """Return the part of a cost that no policy changes."""
        fixed = [shape for shape in self.counted if shape.fixed_bits is not None]
        return sum(self.part(cost, shape, *_bits(shape, {})) for shape in fixed)

    def part(self, cost: CostName, shape: LayerShape, weight: float, activation: float) -> float:
        """Return what a layer adds to a cost at these bit-widths.

        Raises:
            SpecError: latency that the table does not have.
        """
        activation = FLOAT_BITS if shape.float_input else activation
        match cost:
            case "bitops":
                return float(shape.macs * weight * activation)
            case "size":
                return float(shape.weights * weight + shape.scales * SCALE_BITS)
            case "average-bits":
                return weight / len(self.counted)
            case "weighted-average-bits":
                return shape.weights * weight / self._weights
            case "activation-bits":
                return shape.inputs * activation / self._inputs
            case "latency":
                return self._latency(shape, weight, activation)

    def uniform(self, cost: CostName, bits: float) -> float:
        """Return a cost of the network at one bit-width, which may lie between two."""
        free = [shape for shape in self.counted if shape.fixed_bits is None]
        return self.fixed(cost) + sum(self.part(cost, shape, bits, bits) for shape in free)

    def range(self, cost: CostName, bitset: BitSet) -> tuple[float, float]:
        """Return the least and the largest value of a cost."""
        return self.uniform(cost, min(bitset)), self.uniform(cost, max(bitset))

    def _latency(self, shape: LayerShape, weight: float, activation: float) -> float:
        # No layer runs at a bit-width between two, so there is nothing to interpolate.
        found = (self.latencies or {}).get((shape.name, weight, activation))  # type: ignore[arg-type]
        if found is None:
            raise SpecError(
                f"The latency table has no entry for layer '{shape.name}' at {weight:g}-bit "
                f"weights and {activation:g}-bit activations. Add it, or take another cost."
            )
        return found


def _bits(shape: LayerShape, policy: Policy) -> tuple[int, int]:
    """Return (weight, activation) bit-widths of a layer."""
    bits = policy[shape.name] if shape.fixed_bits is None else shape.fixed_bits
    return bits if isinstance(bits, tuple) else (bits, bits)


@dataclass(frozen=True)
class Constraint:
    """An upper bound on one cost."""

    cost: CostName
    value: float

    TOLERANCE = 1e-9
    """Of the comparison, relative to the limit."""

    def allows(self, costs: CostModel, policy: Policy) -> bool:
        """Return whether ``policy`` costs no more than the limit."""
        return costs.total(self.cost, policy) <= self.value * (1 + self.TOLERANCE)


LATENCY_COLUMNS = ("layer", "weight_bits", "activation_bits", "latency_ms")
"""Of a latency table."""


def read_latencies(path: Path) -> dict[tuple[str, int, int], float]:
    """Return the latencies in a CSV file by (layer, weight bits, activation bits).

    Raises:
        SpecError: the file is missing, lacks a column, or has a latency that is no time.
    """
    try:
        with path.open(newline="") as file:
            found: dict[tuple[str, int, int], float] = {}
            for row in csv.DictReader(file):
                key = row["layer"], int(row["weight_bits"]), int(row["activation_bits"])
                if key in found:
                    raise ValueError(f"layer '{key[0]}' has two latencies at w{key[1]}a{key[2]}")
                found[key] = _milliseconds(row["latency_ms"])
            return found
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise SpecError(
            f"{path} is no latency table ({type(error).__name__}: {error}).\n"
            f"  It is a CSV file with the columns {', '.join(LATENCY_COLUMNS)}."
        ) from None


def _milliseconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < inf:
        raise ValueError(f"latency_ms is {text}")
    return value
