"""Simulated suites: how often verdicts are wrong, and how often differences are found.

Independent of the code under test: p-values of all suites are computed at once. Whoever uses them
compares some with those of ``bitswitch.report.statistics``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import bootstrap, norm, t

SUITES = 1000

Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
"""Seeds of one arm around its mean, with a standard deviation of about 1."""


def normal(rng, shape):
    return rng.standard_normal(shape)


def heavy(rng, shape):
    """Student's t with three degrees of freedom: now and then a seed is far off."""
    return rng.standard_t(3, shape) / np.sqrt(3)


def skewed(rng, shape):
    """Exponential losses: most seeds are good, some are bad."""
    return 1 - rng.exponential(size=shape)


@dataclass(frozen=True)
class Scenario:
    """Claims of a suite of which none is true."""

    title: str
    claims: int
    seeds: int
    left: Noise = normal
    right: Noise = normal
    shared: bool = True
    """Whether all claims have the same left arm."""
    true: int = 0
    """How many claims are true after all, by far."""
    margin: float = 0.0
    """Of equivalence claims: the true difference, where there just is one."""

    def differences(self, suites: int = SUITES) -> np.ndarray:
        """Return differences, [suites, claims, seeds]."""
        rng = np.random.default_rng(2025)
        lefts = 1 if self.shared else self.claims
        left = self.left(rng, (suites, lefts, self.seeds))
        found = left - self.right(rng, (suites, self.claims, self.seeds)) + self.margin
        found[:, : self.true] += 20
        return found

    def ps(self, differences: np.ndarray) -> np.ndarray:
        """Return p-values, [suites, claims]."""
        if self.margin:
            return margin_ps(differences, self.margin)
        return sign_flip_ps(differences)

    def rate(self, suites: int = SUITES) -> float:
        """Return the share of suites with a false verdict."""
        adjusted = holm(self.ps(self.differences(suites)))
        return float((adjusted[:, self.true :] <= 0.05).any(axis=1).mean())


@cache
def signs(seeds: int) -> np.ndarray:
    """Return half of all ways to flip signs; the others give the same sums the other way round."""
    bits = (np.arange(2 ** (seeds - 1))[:, None] >> np.arange(seeds)) & 1
    return 1.0 - 2.0 * bits


def sign_flip_ps(differences: np.ndarray) -> np.ndarray:
    """Return the p of every last axis."""
    flips = signs(differences.shape[-1]).T
    rows = differences.reshape(-1, differences.shape[-1])
    ps = [
        (np.abs(part @ flips) >= np.abs(part.sum(axis=1, keepdims=True)) - 1e-9).mean(axis=1)
        for part in np.array_split(rows, max(1, len(rows) * flips.shape[1] // 2**22))
    ]
    return np.concatenate(ps).reshape(differences.shape[:-1])


def margin_ps(differences: np.ndarray, margin: float) -> np.ndarray:
    """Return the p of the last axis lying wholly within or beyond a margin."""
    seeds = differences.shape[-1]
    error = differences.std(axis=-1, ddof=1) / np.sqrt(seeds)
    upper, lower = (
        t.cdf((differences.mean(axis=-1) - at) / error, seeds - 1) for at in (margin, -margin)
    )
    within = np.maximum(upper, 1 - lower)
    beyond = np.minimum(1 - upper, lower)
    return np.minimum(1, 2 * np.minimum(within, beyond))


def holm(ps: np.ndarray) -> np.ndarray:
    """Return adjusted p-values of every row."""
    order = np.argsort(ps, axis=1)
    steps = np.take_along_axis(ps, order, axis=1) * np.arange(ps.shape[1], 0, -1)
    adjusted = np.empty_like(ps)
    np.put_along_axis(adjusted, order, np.minimum(1, np.maximum.accumulate(steps, axis=1)), axis=1)
    return adjusted


SCENARIOS = (
    Scenario("one claim", 1, 6),
    Scenario("40 claims, each of two methods of its own", 40, 11, shared=False),
    Scenario("40 claims, one method against 40 others", 40, 11),
    Scenario("the same with outliers among the seeds", 40, 11, heavy, heavy),
    Scenario("the same with skewed seeds", 40, 11, skewed, skewed),
    Scenario("the same, skewed on one side only", 40, 11, skewed, normal),
    Scenario("40 claims, 20 of them true", 40, 11, true=20),
    Scenario("40 claims of no difference, at the margin", 40, 11, margin=1.0),
)


def power(
    size: float,
    spread: float,
    seeds: int,
    tests: int,
    suites: int = 4000,
    shared: float | None = None,
) -> float:
    """Return the share of experiments whose tests find a difference.

    Of more than 14 seeds, 20 000 flips are drawn.
    """
    rng = np.random.default_rng(2025)
    differences = size + spread * rng.standard_normal((suites, seeds))
    found = np.ones(suites, dtype=bool)
    if shared is not None:
        differences += shared * rng.standard_normal((suites, 1))
        upper = 1 - 0.05 / tests / 2
        own = t.ppf(upper, seeds - 1) * differences.std(axis=1, ddof=1) / np.sqrt(seeds)
        found = np.abs(differences.mean(axis=1)) >= np.hypot(own, norm.ppf(upper) * shared)
    if seeds <= 14:
        return float((found & (sign_flip_ps(differences) <= 0.05 / tests)).mean())
    flips = rng.choice([-1.0, 1.0], size=(seeds, 20_000))
    ps = [
        (1 + (np.abs(part @ flips) >= np.abs(part.sum(axis=1, keepdims=True))).sum(axis=1)) / 20_001
        for part in np.array_split(differences, 40)
    ]
    return float((found & (np.concatenate(ps) <= 0.05 / tests)).mean())


def difference(noise: Noise) -> Noise:
    """Return the noise of a difference between two sides that are equally noisy."""
    return lambda rng, shape: noise(rng, shape) - noise(rng, shape)


def coverage(noise: Noise, seeds: int, suites: int = SUITES) -> tuple[float, float]:
    """Return how often Student's and the BCa interval of values hold their true mean, 0."""
    rng = np.random.default_rng(2025)
    values = noise(rng, (suites, seeds))
    half = t.ppf(0.975, seeds - 1) * values.std(axis=1, ddof=1) / np.sqrt(seeds)
    found = bootstrap(
        (values,), np.mean, axis=1, method="BCa", n_resamples=1999, batch=100, random_state=rng
    ).confidence_interval
    student = (np.abs(values.mean(axis=1)) <= half).mean()
    return float(student), float(((found.low <= 0) & (found.high >= 0)).mean())
