"""Words shared by every layer of the package. Imports nothing heavy."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Frozen settings; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


BitSet = tuple[int, ...]
"""Candidate bit-widths, widest first, e.g. ``(8, 6, 4, 2)``."""

LayerBits = int | tuple[int, int]
"""Bit-width of one layer: one number for both operands, or ``(weight, activation)``."""

Policy = Mapping[str, LayerBits]
"""Layer name to bit-width."""

FLOAT_BITS = 32
"""The bit-width that stands for full precision: quantizers are bypassed."""

MIN_BITS, MAX_BITS = 2, 8
"""Range of integer bit-widths that every quantizer supports."""


def format_bitset(bitset: BitSet) -> str:
    """Return ``{8,6,4,2}`` for ``(8, 6, 4, 2)``.

    >>> format_bitset((8, 6, 4, 2))
    '{8,6,4,2}'
    """
    return "{" + ",".join(map(str, bitset)) + "}"
