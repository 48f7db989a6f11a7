"""Sensitivities: how much every layer suffers from low bit-widths, and how searches read it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from bitswitch.contracts.card import ExamplePasses
from bitswitch.contracts.plugin import Plugin
from bitswitch.errors import SpecError
from bitswitch.types import BitSet

if TYPE_CHECKING:  # reports read scores without torch
    import torch

    from bitswitch.contracts.data import Batch
    from bitswitch.contracts.task import Task
    from bitswitch.nn.model import QuantizedModel

Operand = Literal["layer", "weight", "activation"]


class Score(NamedTuple):
    """How much a layer suffers: larger is more sensitive."""

    layer: str
    operand: Operand
    """``layer`` where weights and inputs are not told apart."""
    bits: int | None
    """Of this bit-width; None: of the layer, whatever its bit-width."""
    value: float
    standard_error: float = 0.0
    """0 where the value is exact."""


class SensitivityScores(NamedTuple):
    """What a sensitivity plugin found."""

    scores: list[Score]
    facts: Mapping[str, float] = MappingProxyType({})
    """What else it measured, by name, e.g. ``probes``."""


@dataclass(frozen=True)
class ScoringInput:
    """A network whose layers are to be scored."""

    model: "QuantizedModel"
    """Loaded, in evaluation mode, at full precision; a plugin leaves it as it finds it."""
    bitset: BitSet
    """Bit-widths to score."""
    batches: "Callable[[], Iterator[Batch]]"
    """Gives the same shuffled training batches at every call, on the model's device."""
    generator: "torch.Generator"
    """On the CPU; all that is random comes from it."""
    task: "Task"
    """Of the dataset: its loss, and what its outputs are."""


@dataclass(frozen=True)
class Scores:
    """Scores of all layers, to be looked up."""

    rows: tuple[Score, ...]
    title: str = "sensitivity"
    """Plugin that made them."""
    _found: dict[tuple[str, str, int | None], float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        found = {(row.layer, row.operand, row.bits): row.value for row in self.rows}
        object.__setattr__(self, "_found", found)

    def of_layer(self, layer: str) -> float:
        """Return the score of a layer that does not depend on its bit-width.

        Raises:
            SpecError: there is none.
        """
        return self._pick(layer, "layer", None)

    def of_policy(self, layer: str, weight: int, activation: int, factor: float = 1.0) -> float:
        """Return the score of a layer at these bit-widths: its operands' sum where told apart.

        Args:
            layer: Name.
            weight: Its weights' bit-width.
            activation: Its inputs' bit-width.
            factor: Of the weight's score, in the sum.

        Raises:
            SpecError: there is none.
        """
        if (layer, "layer", weight) in self._found:
            return self._found[layer, "layer", weight]
        inputs = self._found.get((layer, "activation", activation), 0.0)
        return inputs + factor * self._pick(layer, "weight", weight)

    def of_operand(self, layer: str, operand: Operand, bits: int) -> float:
        """Return the score of a layer's weights or inputs at this bit-width.

        Raises:
            SpecError: there is none.
        """
        return self._pick(layer, operand, bits)

    @property
    def by_bits(self) -> bool:
        """Whether scores depend on the bit-width."""
        return any(row.bits is not None for row in self.rows)

    def _pick(self, layer: str, operand: Operand, bits: int | None) -> float:
        value = self._found.get((layer, operand, bits))
        if value is None:
            wanted = "of its own" if bits is None else f"at {bits} bits"
            raise SpecError(
                f"'{self.title}' scores no {operand} '{layer}' {wanted}.\n"
                f"  Take a sensitivity whose scores fit the search: "
                f"{'per layer' if bits is None else 'per layer and bit-width'}."
            )
        return value


class Sensitivity(Plugin):
    """A way to tell how much every layer suffers from low bit-widths."""

    def score(self, subject: ScoringInput) -> SensitivityScores:
        """Return the scores of all switchable layers of ``subject.model``.

        Either one per layer, or one per layer and bit-width, for the layer as a whole or for its
        weights and inputs apart; larger is more sensitive.
        """
        raise NotImplementedError

    def work(self, examples: int, outputs: int) -> ExamplePasses:
        """Return what passes through the network, about; default: nothing.

        Args:
            examples: That it sees.
            outputs: Of the network.
        """
        return ExamplePasses()
