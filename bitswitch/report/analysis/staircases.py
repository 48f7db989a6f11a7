"""Weight quantizers as plain staircases, for Figure 2."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


def signed_bounds(bits: int) -> tuple[int, int]:
    """Return the least and the largest signed integer of ``bits``."""
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def lsq(x: Reals, widest: int, bits: int) -> Reals:
    """Return ``x`` on the grid of its own step, 2^(1-bits); the widest one plays no part.

    Source: esser2020learned, Eq. 1-2.
    """
    step = 2.0 ** (1 - bits)
    return np.clip(np.round(x / step), *signed_bounds(bits)) * step


def adabits(x: Reals, widest: int, bits: int) -> Reals:
    """Return ``x`` truncated to ``bits`` bits of its unsigned code.

    Args:
        x: Weights normalised to [-1, 1]; clipped there.
        widest: Plays no part; the narrow code is the wide one shifted right.
        bits: Bit-width.

    Source: jin2020adabits, "modified" scheme.
    """
    levels = 2**bits
    codes = np.clip(np.floor(levels * (x + 1) / 2), 0, levels - 1)
    return np.asarray(2 * codes / levels - 1)


def bit_mixer(x: Reals, widest: int, bits: int) -> Reals:
    """Return ``x`` floored to the grid of ``bits``, a power of two coarser than the widest.

    Source: bulat2021bitmixer, as huang2025nearly describes it.
    """
    step = 2.0 ** (1 - widest) * 2.0 ** (widest - bits)
    return np.clip(np.floor(x / step), *signed_bounds(bits)) * step


def double_rounding(x: Reals, widest: int, bits: int) -> Reals:
    """Return ``x`` rounded to the widest grid, and its codes rounded again to ``bits``.

    Source: huang2025nearly, Eq. 1-3.
    """
    step, ratio = 2.0 ** (1 - widest), 2.0 ** (widest - bits)
    stored = np.clip(np.round(x / step), *signed_bounds(widest))
    return np.clip(np.round(stored / ratio), *signed_bounds(bits)) * step * ratio


STAIRCASES: dict[str, Callable[[Reals, int, int], Reals]] = {
    "LSQ": lsq,
    "AdaBits": adabits,
    "Bit-Mixer": bit_mixer,
    "Double Rounding": double_rounding,
}
"""Title to staircase of (x in [-1, 1], widest bit-width, bit-width)."""
