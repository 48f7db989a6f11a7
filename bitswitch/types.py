"""Words shared by every layer of the package. Imports nothing heavy."""

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict


class Strict(BaseModel):
    """Frozen settings; an unknown key is an error, and so is a number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Item = TypeVar("Item", bound=Hashable)


def _once_each(items: tuple[Item, ...]) -> tuple[Item, ...]:
    for item, count in Counter(items).items():
        if count > 1:
            shown = list(item) if isinstance(item, tuple) else item
            raise ValueError(f"{shown} is there {count} times: write it once")
    return items


Distinct = Annotated[tuple[Item, ...], AfterValidator(_once_each)]
"""A list in which nothing stands twice."""


BitSet = tuple[int, ...]
"""Candidate bit-widths, widest first, e.g. ``(8, 6, 4, 2)``."""

LayerBits = int | tuple[int, int]
"""Bit-width of one layer: one number for both operands, or ``(weight, activation)``."""

Policy = Mapping[str, LayerBits]
"""Layer name to bit-width."""

FLOAT_BITS = 32
"""The bit-width that stands for full precision: quantizers are bypassed."""

MIN_BITS = 2
"""The narrowest integers that every quantizer supports."""

MAX_BITS = 8
"""The widest integers that every quantizer supports."""


def format_bitset(bitset: BitSet) -> str:
    """Return ``{8,6,4,2}`` for ``(8, 6, 4, 2)``.

    >>> format_bitset((8, 6, 4, 2))
    '{8,6,4,2}'
    """
    return "{" + ",".join(map(str, bitset)) + "}"
