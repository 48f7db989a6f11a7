"""Tests of differences, and what several of them are worth together."""

from collections.abc import Sequence
from statistics import fmean

from bitswitch.report.statistics.intervals import half_width

EXACT = 16
"""Seeds up to which all sign flips are counted; of more, as many are drawn as of so many."""

DIGITS = 9
"""Behind the point of sums that are compared: those that differ by rounding alone are equal."""


LEAST = 1e-12
"""No p of Student's test is smaller."""


def sign_flip(differences: Sequence[float]) -> float:
    """Return the two-sided p of a paired sign-flip permutation test (Fisher 1935).

    Exact up to ``EXACT`` seeds. Under the null, either side could have been the better one of
    every seed.

    >>> sign_flip([1.0, 1.1, 0.9, 1.2, 0.8, 1.0])
    0.03125
    """
    import numpy as np
    from scipy.stats import permutation_test

    sizes = np.asarray(differences, dtype=float)
    largest = np.abs(sizes).max()
    if largest == 0:
        return 1.0
    found = permutation_test(
        (sizes / largest,),
        lambda values, axis: np.round(values.sum(axis=axis), DIGITS),
        permutation_type="samples",
        vectorized=True,
        n_resamples=2**EXACT,
        batch=2**EXACT // 16,
        random_state=np.random.default_rng(0),
    )
    return float(found.pvalue)


def student(
    differences: Sequence[float], beyond: float = 0.0, shared: float = 0.0
) -> tuple[float, float]:
    """Return the one-sided p of a mean above, and of one below ``beyond`` (Student's t-test).

    Args:
        differences: At least two.
        beyond: What the mean is held against.
        shared: As in ``half_width``.
    """
    distance = fmean(differences) - beyond
    if min(differences) == max(differences) and not shared:
        return float(distance <= 0), float(distance >= 0)
    near = _two_sided(abs(distance), differences, shared) / 2
    return (near, 1 - near) if distance > 0 else (1 - near, near)


def _two_sided(distance: float, differences: Sequence[float], shared: float) -> float:
    """Return the level of the interval that ends at this distance from its middle."""
    from scipy.optimize import brentq

    def missing(level: float) -> float:
        return half_width(differences, shared, level) - distance

    return float(brentq(missing, LEAST, 1.0, xtol=LEAST)) if missing(LEAST) > 0 else LEAST


def mcnemar(left_only: int, right_only: int) -> float:
    """Return the exact two-sided p of McNemar's test.

    Args:
        left_only: Examples that the left side alone gets right.
        right_only: Examples that the right side alone gets right.

    >>> round(mcnemar(1, 9), 4)
    0.0215
    """
    if not left_only + right_only:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(left_only, left_only + right_only).pvalue)


def clustered_mcnemar(leads: Sequence[int]) -> float:
    """Return the exact two-sided p of McNemar's test where several networks met every example.

    Under the null, the lead on an example could as well have been the other side's. Of one network
    of each side, this is McNemar's test.

    Args:
        leads: By how many networks more the left side gets each example right.

    >>> round(clustered_mcnemar([1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 0]), 4)
    0.0215
    """
    import numpy as np
    from scipy.signal import convolve
    from scipy.stats import binom

    sizes, counts = np.unique(np.abs([lead for lead in leads if lead]), return_counts=True)
    chances = np.ones(1)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        won = np.zeros(size * count + 1)
        won[::size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = convolve(chances, won)
    total = len(chances) - 1
    return min(1.0, 2 * float(chances[(total + abs(sum(leads))) // 2 :].sum()))


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values adjusted for each other, in the order given (Holm 1979).

    Whatever is true, the chance that any true null has an adjusted p up to 0.05 is at most 5 %.

    >>> [round(p, 2) for p in holm([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, at in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[at]))
        adjusted[at] = largest
    return adjusted


def equivalence(
    differences: Sequence[float], margin: float, side: int = 0, shared: float = 0.0
) -> float:
    """Return the p of two one-sided tests that the mean is within a margin (Schuirmann 1987).

    Args:
        differences: At least two.
        margin: Size of a difference that matters.
        side: 0: within on both sides; 1: not above ``margin``; -1: not below ``-margin``.
        shared: As in ``half_width``.
    """
    above, _ = student(differences, -margin, shared)
    _, below = student(differences, margin, shared)
    return {0: max(above, below), 1: below, -1: above}[side]
