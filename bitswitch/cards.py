"""What a reader must know of a method before comparing it with another."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Fidelity = Literal["vectors", "equations", "partial"]
"""``vectors``: computes what the published code computes, array by array; ``equations``: built from
the equations that the publication prints; ``partial``: something of the publication is missing, or
it is known from its abstract and from what others write of it."""

Storage = Literal["codes", "floats"]
"""What has to be kept to run at every bit-width. ``codes``: the widest integers and their scales;
``floats``: float32 weights."""


class Card(NamedTuple):
    """Shown by ``bitswitch plugins`` and below tables."""

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
