"""Metrics: numbers that say how good a network is, and how people read them; without torch."""

from collections.abc import Iterable, Mapping, Sequence
from math import exp, expm1, inf, log, sqrt
from statistics import fmean
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Self

LOSS = "loss"
"""Every task has a metric of this name: the mean loss, by which divergence shows."""


Scale = Literal["linear", "log"]


class Metric(NamedTuple):
    """One number that says how good a network is."""

    name: str
    """Key in records, e.g. ``perplexity``."""
    title: str
    """In tables and figures, e.g. ``Perplexity``."""
    unit: str
    """E.g. ``percent``, ``nats``; ``1`` for none."""
    better: Literal["higher", "lower"]
    digits: int
    """Behind the point, where people read it."""
    scale: Scale = "linear"
    """``log``: means are those of logarithms and differences are ratios, as of perplexities, so
    that twice and half as much cancel out."""

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Return the metric that ``facts`` say, as records keep them."""
        return cls(**{key: facts[key] for key in cls._fields if key in facts})

    @property
    def spoken(self) -> str:
        """The title as it stands within a sentence.

        >>> Metric("perplexity", "Perplexity", "1", "lower", 2).spoken
        'perplexity'
        >>> Metric("mae", "MAE", "1", "lower", 3).spoken
        'MAE'
        """
        return self.title if self.title.isupper() else self.title[:1].lower() + self.title[1:]

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return 1 if self.better == "higher" else -1

    def scaled(self, value: float) -> float:
        """Return what may be averaged and subtracted: the value, or its logarithm."""
        if self.scale == "linear":
            return value
        return log(value) if value > 0 else -inf

    def unscaled(self, value: float) -> float:
        """Return the value that ``scaled`` makes ``value``."""
        return value if self.scale == "linear" else exp(value)

    def mean(self, values: Iterable[float]) -> float:
        """Return the mean of values on the metric's scale.

        >>> Metric("perplexity", "Perplexity", "1", "lower", 2, "log").mean([2.0, 8.0])
        4.0
        """
        return self.unscaled(fmean(map(self.scaled, values)))

    def change(self, difference: float) -> float:
        """Return a difference on the metric's scale as people read it: of logarithms, in percent.

        >>> round(Metric("perplexity", "Perplexity", "1", "lower", 2, "log").change(log(1.25)), 9)
        25.0
        """
        return difference if self.scale == "linear" else 100 * expm1(difference)

    def error(self, value: float) -> float:
        """Return ``value`` as something to make small: of a percentage, what is missing to 100."""
        if self.better == "lower":
            return value
        return 100 - value if self.unit == "percent" else -value

    def text(self, value: float) -> str:
        """Return a value with its unit.

        >>> Metric("miou", "Mean IoU", "percent", "higher", 2).text(93.125)
        '93.12 %'
        """
        unit = {"percent": " %", "1": ""}.get(self.unit, f" {self.unit}")
        return f"{value:.{self.digits}f}{unit}"


def binomial_noise(percent: float, examples: int) -> float:
    """Return the 95 % half-width of a share of ``examples``, both in percent.

    >>> round(binomial_noise(93.0, 10_000), 2)
    0.5
    """
    share = percent / 100
    return 196.0 * sqrt(share * (1 - share) / examples)


class Found(NamedTuple):
    """What an evaluation found."""

    values: Mapping[str, float]
    """By name of the metric, one of each."""
    examples: int
    """How many were seen."""
    sums: Mapping[str, float] = MappingProxyType({})
    """What else the noise of the headline needs, by name."""
    parts: tuple[float, ...] = ()
    """One number for every part of the split, by which two evaluations of one split are paired."""
    correct: Mapping[str, Sequence[int]] = MappingProxyType({})
    """1 or 0 for every example, in the order of the split: whether it was right. By name of the
    metric that is their share; results keep it, so that two networks are compared by example."""
