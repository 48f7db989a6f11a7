"""What a reader must know of a method before comparing it with another."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Fidelity = Literal["vectors", "equations", "partial"]
"""``vectors``: computes what the published code computes, array by array; ``equations``: built from
the equations that the publication prints; ``partial``: something of the publication is missing, or
it is known from its abstract and from what others write of it."""

Storage = Literal["codes", "floats", "tables"]
"""What has to be kept to run at every bit-width. ``codes``: the widest integers and their scales;
``floats``: float32 weights; ``tables``: labels, and tables of the values that they stand for."""


class Card(NamedTuple):
    """Shown by ``bitswitch plugins show`` and below tables."""

    title: str
    """As the publication writes it."""
    fidelity: Fidelity
    storage: Storage
    licence: str
    """Of the original code."""
    left_open: str = ""
    """What the publication leaves open, and what was chosen."""
    deviations: str = ""
    """Where this implementation differs from the publication."""
    missing: str = ""
    """What a ``partial`` one lacks."""


class Recipe(NamedTuple):
    """How a publication trains its method on one dataset."""

    training: Mapping[str, Any]
    """Changes to a network's training recipe."""
    options: Mapping[str, Any] = {}
    """Options of the method."""


class Workload(NamedTuple):
    """What the work of a plugin depends on, besides its options."""

    layers: int
    """Convolutions and linear layers of the network."""
    epoch_examples: int
    """Of the training split."""
    batch_size: int

    def examples(self, batches: float) -> float:
        """Return how many examples so many batches have, one epoch's at most."""
        return min(batches * self.batch_size, self.epoch_examples)


class ExamplePasses(NamedTuple):
    """Examples that pass through a network, once for every bit-width; for cost estimates."""

    forward: float = 0.0
    """Forward alone."""
    trained: float = 0.0
    """Forward and backward."""
