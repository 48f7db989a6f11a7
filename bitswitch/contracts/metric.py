"""Metrics: numbers that say how good a network is, and how people read them; without torch."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Self

LOSS = "loss"
"""Every task has a metric of this name: the mean loss, by which divergence shows."""


class Metric(NamedTuple):
    """One number that says how good a network is."""

    name: str
    """Key in records, e.g. ``top1``."""
    title: str
    """In tables and figures, e.g. ``Top-1``."""
    unit: str
    """E.g. ``percent``, ``nats``; ``1`` for none."""
    better: Literal["higher", "lower"]
    digits: int
    """Behind the point, where people read it."""

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Return the metric that ``facts`` say, as records keep them."""
        return cls(**{key: facts[key] for key in cls._fields})

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return 1 if self.better == "higher" else -1

    def error(self, value: float) -> float:
        """Return ``value`` as something to make small: of a percentage, what is missing to 100."""
        if self.better == "lower":
            return value
        return 100 - value if self.unit == "percent" else -value

    def text(self, value: float) -> str:
        """Return a value with its unit.

        >>> Metric("top1", "Top-1", "percent", "higher", 2).text(93.125)
        '93.12 %'
        """
        unit = {"percent": " %", "1": ""}.get(self.unit, f" {self.unit}")
        return f"{value:.{self.digits}f}{unit}"


class Found(NamedTuple):
    """What an evaluation found."""

    values: Mapping[str, float]
    """By name of the metric, one of each."""
    examples: int
    """How many were seen."""
    sums: Mapping[str, float] = MappingProxyType({})
    """What else the noise of the headline needs, by name."""
