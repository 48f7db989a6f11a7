"""How many seeds a difference needs, and which difference some seeds can show.

A difference is counted in standard deviations of paired differences, and shown when a sign-flip
test rejects. Up to ``COUNTED`` seeds the power is that of this test for normal differences; of more
seeds it is Student's, which hardly differs from there on.
"""

from functools import cache
from itertools import count
from math import sqrt

from bitswitch.report.statistics.intervals import LEVEL

POWER = 0.8
"""Chance that a difference of the size in question is found."""

COUNTED = 12
"""Seeds up to which sign flips are counted one by one."""

DRAWS = 2000
"""Simulated experiments per number of seeds."""

MOST = 1000
"""Seeds beyond which nobody is told a number."""


def fewest_seeds(tests: int = 1) -> int:
    """Return the seeds below which no sign-flip test is significant among so many tests.

    >>> fewest_seeds(), fewest_seeds(tests=40)
    (6, 11)
    """
    return next(seeds for seeds in count(1) if smallest_p(seeds) <= LEVEL / tests)


def smallest_p(seeds: int) -> float:
    """Return the smallest two-sided p that a sign-flip test on so many seeds can give."""
    return 2.0 ** (1 - seeds)


def detectable(seeds: int, spread: float, tests: int = 1) -> float | None:
    """Return the smallest difference that is found with a chance of ``POWER``.

    None when so few seeds find none.

    Args:
        seeds: Number of paired differences.
        spread: Their standard deviation.
        tests: Claims that are tested together: the level of one is the share that Holm's method
            leaves to it in the worst case.
    """
    if seeds < fewest_seeds(tests):
        return None
    return _ratio(seeds, LEVEL / tests, POWER) * spread


def seeds_needed(size: float, spread: float, tests: int = 1, power: float = POWER) -> int | None:
    """Return how many seeds find a difference of ``size`` with a chance of ``power``.

    None when more than ``MOST`` are needed.

    Args:
        size: The difference.
        spread: Standard deviation of paired differences.
        tests: As in ``detectable``.
        power: The chance.
    """
    fewest = fewest_seeds(tests)
    if spread == 0:
        return fewest if size else None
    return next(
        (
            seeds
            for seeds in range(fewest, MOST + 1)
            if _student_ratio(seeds, LEVEL / tests, power) <= abs(size) / spread
            and _ratio(seeds, LEVEL / tests, power) <= abs(size) / spread
        ),
        None,
    )


def _ratio(seeds: int, level: float, power: float) -> float:
    """Return the smallest difference found with ``power``, in standard deviations."""
    return (_counted_ratio if seeds <= COUNTED else _student_ratio)(seeds, level, power)


@cache
def _student_ratio(seeds: int, level: float, power: float) -> float:
    """Return it for a two-sided t-test; that it may reject on the wrong side is left out."""
    from scipy.special import nctdtrinc, stdtrit

    critical = float(stdtrit(seeds - 1, 1 - level / 2))
    return float(nctdtrinc(seeds - 1, 1 - power, critical)) / sqrt(seeds)


@cache
def _counted_ratio(seeds: int, level: float, power: float) -> float:
    """Return it for the sign-flip test.

    Flipping the signs of some seeds leaves a sum at least as large if the mean of these seeds is
    at most 0. So a shift of all differences makes the test reject as soon as it lifts all but the
    allowed number of such means above 0: the quantile of these shifts over experiments is sought.
    """
    import numpy as np

    noise = np.random.default_rng(0).standard_normal((DRAWS, seeds))
    flips = (np.arange(1, 2**seeds)[:, None] >> np.arange(seeds)) & 1
    means = noise @ (flips / flips.sum(axis=1, keepdims=True)).T
    allowed = int(level * 2**seeds / 2)
    shifts = -np.partition(means, allowed - 1, axis=1)[:, allowed - 1]
    return float(np.quantile(shifts, power))
