"""How likely a layer draws each bit-width, by how sensitive it is. Imports no torch."""

import math
from collections.abc import Mapping, Sequence

from bitswitch.errors import SpecError
from bitswitch.types import BitSet, format_bitset

_LARGEST_TILT = 200.0
"""Moves the mean of any draw to an end of the bit set, as far as floats can tell."""
_HALVINGS = 100


def roulette_probabilities(bitset: BitSet, sensitive: bool, tilt: float = 0.0) -> tuple[float, ...]:
    """Return the probability of every bit-width of ``bitset``, in its order.

    Layers that are not sensitive draw evenly, p_i = 1 / n; sensitive ones in proportion to the
    bit-width, p_i = b_i / sum(b).

    Args:
        bitset: Bit-widths.
        sensitive: Whether the layer's sensitivity reaches the mean over layers.
        tilt: Multiplies every p_i by exp(tilt * b_i), up to a common factor; 0 as published. Of
            all distributions with its mean, a tilted one is nearest to the original in relative
            entropy.

    >>> roulette_probabilities((8, 6, 4, 2), sensitive=True)
    (0.4, 0.3, 0.2, 0.1)
    >>> roulette_probabilities((8, 6, 4, 2), sensitive=False)
    (0.25, 0.25, 0.25, 0.25)

    Source: huang2025nearly, Alg. 1, whose ``return b_2`` is read as b_i.
    """
    # Counted from the bit-width that weighs most, so that no exponential overflows.
    top = max(bitset) if tilt > 0 else min(bitset)
    weights = [(b if sensitive else 1) * math.exp(tilt * (b - top)) for b in bitset]
    total = sum(weights)
    return tuple(weight / total for weight in weights)


def mean_draw(bitset: BitSet, share: float, tilt: float = 0.0) -> float:
    """Return the mean bit-width of all draws, in bits.

    Args:
        bitset: Bit-widths.
        share: Of layers that are sensitive, 0 to 1.
        tilt: See ``roulette_probabilities``.

    >>> mean_draw((8, 6, 4, 2), share=0), mean_draw((8, 6, 4, 2), share=1)
    (5.0, 6.0)
    """
    even, uneven = (
        sum(p * b for p, b in zip(roulette_probabilities(bitset, kind, tilt), bitset, strict=True))
        for kind in (False, True)
    )
    return (1 - share) * even + share * uneven


def tilt_to(bitset: BitSet, share: float, mean: float) -> float:
    """Return the tilt at which ``mean_draw`` is ``mean``.

    Both kinds of layers are tilted alike, so that sensitive layers keep drawing more bits.

    Args:
        bitset: Bit-widths.
        share: Of layers that are sensitive, 0 to 1.
        mean: In bits, between the narrowest and the widest bit-width.

    Raises:
        SpecError: no draw has this mean.
    """
    if not min(bitset) < mean < max(bitset):
        raise SpecError(
            f"No draw from {format_bitset(bitset)} has a mean of {mean:g} bits.\n"
            f"  Choose one between {min(bitset)} and {max(bitset)}."
        )
    low, high = -_LARGEST_TILT, _LARGEST_TILT
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = mean_draw(bitset, share, middle) < mean
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2


def sensitive_layers(traces: Mapping[str, float], limit: float = 1.0) -> frozenset[str]:
    """Return the layers whose sensitivity is not below the mean over layers.

    Args:
        traces: Sensitivity of every layer.
        limit: Largest share of the layers that may count as sensitive, the most sensitive first.

    >>> sorted(sensitive_layers({"a": 1.0, "b": 9.0, "c": 8.0}))
    ['b', 'c']
    >>> sorted(sensitive_layers({"a": 1.0, "b": 9.0, "c": 8.0}, limit=0.5))
    ['b']

    Source: huang2025nearly, Alg. 1.
    """
    mean = math.fsum(traces.values()) / len(traces) if traces else 0.0
    ranked: Sequence[str] = sorted(traces, key=lambda name: -traces[name])
    most = math.floor(limit * len(traces) + 1e-9)
    return frozenset(name for name in ranked[:most] if traces[name] >= mean)
