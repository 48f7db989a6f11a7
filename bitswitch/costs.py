"""What a policy costs: one cost model for every search method, printed with its convention.

BitOps are multiply-accumulates times both bit-widths; size counts weights and their scales, not
batch norms and biases; average bits are means over the counted layers. ``EdgeName`` says what
becomes of the first and the last layer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from bitswitch.errors import SpecError
from bitswitch.types import FLOAT_BITS, BitSet, Policy

CostName = Literal[
    "bitops", "size", "average-bits", "weighted-average-bits", "activation-bits", "latency"
]
"""``average-bits``: every layer counts the same; ``weighted-average-bits``: by its weights;
``activation-bits``: mean bit-width of inputs by their elements."""
EdgeName = Literal["excluded", "counted"]
"""Whether costs leave out layers whose bit-width no policy changes (first, last), or count them at
their fixed bit-width, 32 where they are float."""
SCALE_BITS = 32
"""Of one stored scale."""


class LayerShape(NamedTuple):
    """What one convolution or linear layer computes for one image."""

    name: str
    kind: Literal["conv", "linear"]
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
    """Side of the kernel; 1 in a linear layer."""
    stride: int
    groups: int
    edge_bits: int | None
    """Bit-width that no policy changes, 32 for float; None: the layer is switchable."""

    @property
    def is_edge(self) -> bool:
        """Whether no policy changes its bit-width."""
        return self.edge_bits is not None

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
    """All convolution and linear layers, first to last."""
    edges: EdgeName = "excluded"
    latencies: Latencies | None = None

    @cached_property
    def layers(self) -> list[LayerShape]:
        """The switchable layers, first to last."""
        return [shape for shape in self.shapes if not shape.is_edge]

    @cached_property
    def counted(self) -> list[LayerShape]:
        """The layers that costs count."""
        return list(self.shapes) if self.edges == "counted" else self.layers

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
        edges = [shape for shape in self.counted if shape.is_edge]
        return sum(self.part(cost, shape, *_bits(shape, {})) for shape in edges)

    def part(self, cost: CostName, shape: LayerShape, weight: float, activation: float) -> float:
        """Return what a layer adds to a cost at these bit-widths.

        Raises:
            SpecError: latency that the table does not have.
        """
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
        parts = (self.part(cost, shape, bits, bits) for shape in self.counted if not shape.is_edge)
        return self.fixed(cost) + sum(parts)

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
    bits = policy[shape.name] if shape.edge_bits is None else shape.edge_bits or FLOAT_BITS
    return bits if isinstance(bits, tuple) else (bits, bits)
