"""Simulated suites whose test images are drawn anew, as are their seeds."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from bitswitch.report.statistics import clustered_mcnemar
from tests.report.statistics.simulation import (
    Noise,
    heavy,
    holm,
    normal,
    sign_flip_ps,
    skewed,
)

POINT = 0.06
"""How much easier all images have to become for one more point of accuracy."""

OWN = 0.5
"""How much images differ in which networks of one method get them right."""

ROUGH = 0.06
"""A p from which on it matters to nobody, and is not exact."""

Bits = tuple[np.ndarray, np.ndarray]
"""Which images networks of the left and of the right side get right, [seeds, images]."""


class Tests(NamedTuple):
    """What tests say, [suites, claims]."""

    by_seeds: np.ndarray
    """Standard error of the mean difference, in points."""
    by_images: np.ndarray
    flips: np.ndarray
    mcnemar: np.ndarray
    p: np.ndarray
    """That of verdicts."""

    def rates(self) -> list[float]:
        """Return the share of suites with a false verdict, by each p."""
        return [float((holm(ps) <= 0.05).any(axis=1).mean()) for ps in self[2:]]


@dataclass(frozen=True)
class Redrawn:
    """Claims of which none is true, all about the same left side.

    A network gets an image right if the image is easy enough. Images are easier or harder for all
    networks alike, for those of one method, and for one network alone.
    """

    title: str
    seeds: tuple[int, ...]
    """Of each claim."""
    trained: float
    """Standard deviation over networks of one method that is not their images', in points."""
    suited: float
    """How much images differ in which method they suit."""
    easy: float = 1.4
    images: int = 1000
    noise: Noise = normal
    """Of networks of the left side; those of the others are normal."""
    noisier: float = 1.0
    """How much more the left side varies."""
    effect: float = 0.0
    """By how much the left side is better after all, in points."""
    margin: float | None = None
    """Of claims of no difference."""

    def suites(self, count: int) -> Iterator[list[Bits]]:
        """Yield suites."""
        rng = np.random.default_rng(2025)
        spreads = POINT * self.trained * self.noisier, POINT * self.trained
        left, right = (sqrt(1 + self.suited**2 + OWN**2 + spread**2) for spread in spreads)
        share = ndtr(self.easy / right) + self.effect / 100
        most = max(self.seeds)
        for _ in range(count):
            images = rng.standard_normal(self.images)
            better = images + ndtri(share) * left
            first = self._networks(rng, better, spreads[0] * self.noise(rng, (most, 1)))
            others = (
                self._networks(rng, images + self.easy, spreads[1] * normal(rng, (seeds, 1)))
                for seeds in self.seeds
            )
            yield [(first[: len(other)], other) for other in others]

    def _networks(self, rng, easy: np.ndarray, trained: np.ndarray) -> np.ndarray:
        """Return what networks of one method get right."""
        method = easy + self.suited * rng.standard_normal(self.images)
        own = OWN * rng.standard_normal((len(trained), self.images), np.float32)
        return own > -(method + trained).astype(np.float32)

    def tests(self, count: int) -> Tests:
        """Return what tests say of all suites."""
        return Tests(*np.stack([self._suite(bits) for bits in self.suites(count)], axis=1))

    def _suite(self, bits: list[Bits]) -> np.ndarray:
        """Return what tests say, [tests, claims]; claims are those of as many seeds at a time."""
        found = np.empty((5, len(bits)))
        for seeds in sorted(set(self.seeds)):
            those = [at for at, count in enumerate(self.seeds) if count == seeds]
            leads = np.stack([bits[at][0].astype(np.float32) - bits[at][1] for at in those])
            found[:, those] = self._claims(leads)
        return found

    def _claims(self, leads: np.ndarray) -> list[np.ndarray]:
        """Return what tests say of [claims, seeds, images]."""
        _, seeds, images = leads.shape
        values = 100 * leads.mean(axis=2, dtype=float)
        products = 1e4 * (leads @ leads.transpose(0, 2, 1)) / images
        covariances = (products - values[:, :, None] * values[:, None]) / (images - 1)
        shared = covariances.sum(axis=(1, 2)) - covariances.trace(axis1=1, axis2=2)
        by_images = np.sqrt(np.maximum(0, shared) / (seeds * (seeds - 1)))
        by_seeds = values.std(axis=1, ddof=1) / np.sqrt(seeds)
        mean, freedom = values.mean(axis=1), seeds - 1
        flips = sign_flip_ps(values)
        mcnemar = np.array([_mcnemar(lead) for lead in leads.sum(axis=1)])
        if self.margin:
            # One side suffices: the true difference is at the upper end, far from the lower one.
            p = _both(np.abs(mean - self.margin), by_seeds, by_images, freedom)
        else:
            p = np.maximum(flips, mcnemar)
            some = p < ROUGH
            both = _both(np.abs(mean)[some], by_seeds[some], by_images[some], freedom)
            p[some] = np.maximum(p[some], both)
        return [by_seeds, by_images, flips, mcnemar, p]


def _both(distance, by_seeds, by_images, freedom: int) -> np.ndarray:
    """Return the level whose half-widths, of seeds and of images, add to a distance."""
    low, high = np.full(distance.shape, -30.0), np.zeros(distance.shape)
    for _ in range(45):
        middle = (low + high) / 2
        level = np.exp(middle) / 2
        half = np.hypot(stdtrit(freedom, level) * by_seeds, ndtri(level) * by_images)
        low, high = np.where(half > distance, (middle, high), (low, middle))
    return np.exp(high)


def _mcnemar(lead: np.ndarray) -> float:
    """Return McNemar's p clustered by image."""
    p = 2 * float(ndtr(-abs(lead.sum()) / max(1.0, sqrt((lead**2).sum()))))
    return p if p > ROUGH else clustered_mcnemar(lead.astype(int).tolist())


def slack(suites: int) -> float:
    """Return the Monte-Carlo error of a share of 5 %, twice its standard deviation."""
    return 2 * sqrt(0.05 * 0.95 / suites)


ONE = (
    Redrawn("one claim, seeds vary most", (6,), 1.3, 0.0),
    Redrawn("one claim, both vary alike", (6,), 0.3, 0.35),
    Redrawn("one claim, images vary most", (6,), 0.0, 0.7),
    Redrawn("one claim, seeds vary most", (11,), 1.3, 0.0),
    Redrawn("one claim, both vary alike", (11,), 0.7, 0.35),
    Redrawn("one claim, images vary most", (11,), 0.0, 0.7),
    Redrawn("the same, few images differ", (11,), 0.0, 0.7, easy=3.8),
    Redrawn("one claim, both vary twice as much", (11,), 1.6, 0.7),
    Redrawn("one claim, both, left side skewed", (11,), 0.7, 0.35, noise=skewed),
    Redrawn("seeds vary most, left side skewed", (11,), 2.0, 0.15, noise=skewed),
    Redrawn("one claim, both, left side with outliers", (11,), 0.7, 0.35, noise=heavy),
    Redrawn("one claim, both, left side twice as noisy", (11,), 0.5, 0.35, noisier=2.0),
    Redrawn("no difference, at the margin, both", (6,), 0.3, 0.35, effect=1.0, margin=1.0),
)
"""Suites of one claim; measured on four times as many."""

FORTY = (
    Redrawn("40 claims, seeds vary most", (11,) * 40, 1.3, 0.0),
    Redrawn("40 claims, both vary alike", (11,) * 40, 0.7, 0.35),
    Redrawn("40 claims, images vary most", (11,) * 40, 0.0, 0.7),
    Redrawn("40 claims, both, seeds unequal", (11, 12, 13, 14) * 10, 0.7, 0.35),
    Redrawn("40 claims, both, left side skewed", (11,) * 40, 0.7, 0.35, noise=skewed),
    Redrawn(
        "40 of no difference, at the margin, both", (11,) * 40, 0.7, 0.35, effect=1.0, margin=1.0
    ),
)
"""Suites of many."""
