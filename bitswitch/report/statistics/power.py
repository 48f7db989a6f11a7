"""How many seeds a difference needs, and which difference some seeds can show.

A difference is counted in standard deviations of paired differences, and shown when a sign-flip
test rejects, and, where the examples are known, Student's over seeds and examples too. Up to
``COUNTED`` seeds the power is that of these tests for normal differences; of more seeds it is
Student's, which hardly differs from there on.
"""

from functools import cache
from itertools import count
from math import hypot, sqrt
from typing import TYPE_CHECKING

from bitswitch.report.statistics.intervals import LEVEL

if TYPE_CHECKING:
    import numpy as np

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


def detectable(
    seeds: int, spread: float, tests: int = 1, shared: float | None = None
) -> float | None:
    """Return the smallest difference that is found with a chance of ``POWER``.

    None when so few seeds find none.

    Args:
        seeds: Number of paired differences.
        spread: Their standard deviation.
        tests: Claims that are tested together: the level of one is the share that Holm's method
            leaves to it in the worst case.
        shared: Standard error over examples of what seeds share; None where it is not known.
    """
    if seeds < fewest_seeds(tests):
        return None
    return _ratio(seeds, LEVEL / tests, POWER, _share(shared, spread)) * spread


def seeds_needed(
    size: float,
    spread: float,
    tests: int = 1,
    power: float = POWER,
    shared: float | None = None,
) -> int | None:
    """Return how many seeds find a difference of ``size`` with a chance of ``power``.

    None when more than ``MOST`` are needed.

    Args:
        size: The difference.
        spread: Standard deviation of paired differences.
        tests: As in ``detectable``.
        power: The chance.
        shared: As in ``detectable``.
    """
    fewest = fewest_seeds(tests)
    if spread == 0:
        return fewest if size else None
    share = _share(shared, spread)
    return next(
        (
            seeds
            for seeds in range(fewest, MOST + 1)
            if _student_ratio(seeds, LEVEL / tests, power, share or 0.0) <= abs(size) / spread
            and _ratio(seeds, LEVEL / tests, power, share) <= abs(size) / spread
        ),
        None,
    )


def _share(shared: float | None, spread: float) -> float | None:
    return None if shared is None or not spread else shared / spread


def _ratio(seeds: int, level: float, power: float, shared: float | None) -> float:
    """Return the smallest difference found with ``power``; this and others in deviations."""
    if seeds > COUNTED:
        return _student_ratio(seeds, level, power, shared or 0.0)
    return _counted_ratio(seeds, level, power, shared)


@cache
def _student_ratio(seeds: int, level: float, power: float, shared: float) -> float:
    """Return it for a two-sided t-test; that it may reject on the wrong side is left out.

    What it has to exceed varies with the degrees of freedom that Satterthwaite gives to the sum of
    both variances.
    """
    from scipy.special import nctdtrinc, ndtri, stdtrit

    error = hypot(1 / sqrt(seeds), shared)
    upper = 1 - level / 2
    half = hypot(float(stdtrit(seeds - 1, upper)) / sqrt(seeds), float(ndtri(upper)) * shared)
    freedom = (seeds - 1) * (sqrt(seeds) * error) ** 4
    return float(nctdtrinc(freedom, 1 - power, half / error)) * error


def _counted_ratio(seeds: int, level: float, power: float, shared: float | None) -> float:
    """Return it for the sign-flip test and, where examples are known, for Student's too."""
    import numpy as np
    from scipy.special import ndtri, stdtrit

    shifts = _flip_shifts(seeds, level)
    if shared is not None:
        noise = _noise(seeds)
        by_seeds = stdtrit(seeds - 1, 1 - level / 2) * noise.std(axis=1, ddof=1) / sqrt(seeds)
        halves = np.hypot(by_seeds, ndtri(1 - level / 2) * shared)
        shifts = np.maximum(shifts, halves - noise.mean(axis=1))
        shifts = shifts - shared * np.random.default_rng(1).standard_normal(DRAWS)
    return float(np.quantile(shifts, power))


@cache
def _noise(seeds: int) -> "np.ndarray":
    """Return differences of simulated experiments, [experiments, seeds]."""
    import numpy as np

    return np.random.default_rng(0).standard_normal((DRAWS, seeds))


@cache
def _flip_shifts(seeds: int, level: float) -> "np.ndarray":
    """Return the shift of all differences of each experiment that makes the sign-flip test reject.

    Flipping the signs of some seeds leaves a sum at least as large if the mean of these seeds is
    at most 0. So a shift makes the test reject as soon as it lifts all but the allowed number of
    such means above 0.
    """
    import numpy as np

    noise = _noise(seeds)
    flips = (np.arange(1, 2**seeds)[:, None] >> np.arange(seeds)) & 1
    means = noise @ (flips / flips.sum(axis=1, keepdims=True)).T
    allowed = int(level * 2**seeds / 2)
    return -np.partition(means, allowed - 1, axis=1)[:, allowed - 1]
