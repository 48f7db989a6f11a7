"""Confidence intervals of a mean over seeds."""

from collections.abc import Sequence
from math import hypot, sqrt
from statistics import fmean, stdev
from typing import NamedTuple

LEVEL = 0.05
"""Of every test and interval."""

RESAMPLED = 6
"""Values below which there is no bootstrap: of five, the interval misses one mean in six."""


class Interval(NamedTuple):
    """A 95 % confidence interval."""

    low: float
    high: float

    @property
    def half_width(self) -> float:
        """From its middle to either end."""
        return (self.high - self.low) / 2


def half_width(values: Sequence[float], shared: float = 0.0, level: float = LEVEL) -> float:
    """Return the half-width of a confidence interval of the mean.

    Other seeds and other examples would both change it. The half-widths of Student's interval over
    seeds and of the normal one over examples add as errors do (Zou and Donner 2008).

    Args:
        values: At least two, one per seed.
        shared: Standard error over examples of what seeds share; 0 to speak of these alone.
        level: One minus its confidence.
    """
    from scipy.special import ndtri, stdtrit

    quantile = float(stdtrit(len(values) - 1, 1 - level / 2))
    return hypot(quantile * stdev(values) / sqrt(len(values)), float(ndtri(1 - level / 2)) * shared)


def interval(values: Sequence[float], shared: float = 0.0) -> Interval | None:
    """Return Student's 95 % confidence interval of the mean; None for fewer than two values.

    Verdicts rest on it: of a handful of values, it alone covers what it promises.

    Args:
        values: One per seed.
        shared: As in ``half_width``.

    >>> low, high = interval([92.1, 92.4, 91.8, 92.2])
    >>> round(low, 2), round(high, 2)
    (91.73, 92.52)
    """
    if len(values) < 2:
        return None
    mean, half = fmean(values), half_width(values, shared)
    return Interval(mean - half, mean + half)


def bca(values: Sequence[float]) -> Interval | None:
    """Return the bias-corrected and accelerated bootstrap interval of the mean over seeds.

    It is what other publications print, and is given beside Student's for comparison: of so few
    values it is too narrow. None for fewer than ``RESAMPLED``. Resamples are the same in every
    call.
    """
    if len(values) < RESAMPLED:
        return None
    if min(values) == max(values):
        return Interval(min(values), max(values))
    import numpy as np
    from scipy.stats import bootstrap

    found = bootstrap(
        (np.asarray(values),),
        np.mean,
        confidence_level=1 - LEVEL,
        method="BCa",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return Interval(float(found.low), float(found.high))
