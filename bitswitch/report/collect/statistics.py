"""What may be said about a handful of seeds, and about one printed number."""

from collections.abc import Sequence
from itertools import product
from math import sqrt
from statistics import fmean, stdev
from typing import Literal, NamedTuple

TESTABLE = 6
"""Seeds below which no test is made: a paired sign-flip test on n seeds cannot give p below
2 / 2^n, which first falls under 0.05 at six."""

LEVEL = 0.05
"""Of every test and interval."""

Verdict = Literal["match", "higher", "lower", "inconclusive"]


class Interval(NamedTuple):
    """A 95 % confidence interval."""

    low: float
    high: float

    @property
    def half_width(self) -> float:
        """From its middle to either end."""
        return (self.high - self.low) / 2


def interval(values: Sequence[float]) -> Interval | None:
    """Return the 95 % confidence interval of the mean over seeds; None for fewer than two."""
    if len(values) < 2:
        return None
    from scipy.special import stdtrit

    quantile = float(stdtrit(len(values) - 1, 1 - LEVEL / 2))
    mean, half = fmean(values), quantile * stdev(values) / sqrt(len(values))
    return Interval(mean - half, mean + half)


def verdict(published: float, values: Sequence[float], margin: float) -> Verdict | None:
    """Return whether a printed number agrees with the mean of ``values``.

    A mean within the margin matches if it is known that well. A mean beyond it is higher or lower
    if the printed number lies outside its confidence interval. All else is inconclusive.

    Args:
        published: The printed number.
        values: One per seed; of one alone nothing is known about its noise: None.
        margin: Noise of the test set at the printed number: nothing measured widens it.
    """
    ours = interval(values)
    if ours is None:
        return None
    difference = fmean(values) - published
    if abs(difference) > max(margin, ours.half_width):
        return "higher" if difference > 0 else "lower"
    return "match" if ours.half_width <= margin else "inconclusive"


class Effect(NamedTuple):
    """A paired difference over seeds."""

    mean: float
    spread: float | None
    """Standard deviation of the differences; this and the next is None for one seed."""
    interval: Interval | None
    seeds: int
    p: float | None
    """Two-sided, exact; None when there are too few seeds to test."""

    @property
    def finding(self) -> str:
        """What may be said of it."""
        if self.p is None:
            return (
                f"not testable: with fewer than {TESTABLE} seeds a paired sign-flip test "
                f"reaches no p below {LEVEL}"
            )
        return f"{'significant' if self.p < LEVEL else 'not significant'} (p = {self.p:.3f})"


def effect(with_it: dict[int, float], without: dict[int, float]) -> Effect | None:
    """Return the effect between two variants, both by seed; None when they share no seed."""
    shared = sorted(with_it.keys() & without.keys())
    if not shared:
        return None
    differences = [with_it[seed] - without[seed] for seed in shared]
    p = sign_flip(differences) if len(shared) >= TESTABLE else None
    spread = stdev(differences) if len(shared) > 1 else None
    return Effect(fmean(differences), spread, interval(differences), len(shared), p)


def sign_flip(differences: Sequence[float]) -> float:
    """Return the exact two-sided p of a paired sign-flip permutation test.

    >>> sign_flip([1.0, 1.1, 0.9, 1.2, 0.8, 1.0])
    0.03125
    """
    observed = abs(sum(differences)) - 1e-9
    flips = [
        abs(sum(sign * value for sign, value in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    return sum(total >= observed for total in flips) / len(flips)
