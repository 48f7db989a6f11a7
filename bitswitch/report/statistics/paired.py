"""Differences between two variants, paired by seed."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from bitswitch.report.statistics.intervals import LEVEL, Interval, interval
from bitswitch.report.statistics.power import fewest_seeds
from bitswitch.report.statistics.significance import sign_flip


class Paired(NamedTuple):
    """A paired difference over seeds."""

    mean: float
    spread: float | None
    """Standard deviation of the differences; this and the next is None for one seed."""
    interval: Interval | None
    seeds: int
    p: float | None
    """Two-sided, exact; None when there are too few seeds to test."""

    @classmethod
    def of(cls, differences: Sequence[float]) -> "Paired":
        """Return what differences, one per seed, say."""
        count = len(differences)
        p = sign_flip(differences) if count >= fewest_seeds() else None
        spread = stdev(differences) if count > 1 else None
        return cls(fmean(differences), spread, interval(differences), count, p)

    @property
    def finding(self) -> str:
        """What may be said of it."""
        if self.p is None:
            return (
                f"not testable: with fewer than {fewest_seeds()} seeds a paired sign-flip test "
                f"reaches no p below {LEVEL}"
            )
        return f"{'significant' if self.p < LEVEL else 'not significant'} (p = {self.p:.3f})"


def paired(left: Mapping[int, float], right: Mapping[int, float]) -> Paired | None:
    """Return left minus right, both by seed; None when they share no seed."""
    shared = sorted(left.keys() & right.keys())
    return Paired.of([left[seed] - right[seed] for seed in shared]) if shared else None
