"""The headline of a task, and how tables and figures write it."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple, Self, get_args

from bitswitch.contracts.metric import Metric
from bitswitch.results.records import Treatment

ROLE = "headline"
"""What tidy rows call the headline of their task, whichever it is; what was done to the network
before stands behind it, e.g. ``headline_recalibrated``."""


class Headline(NamedTuple):
    """What a dataset asks of networks, and where guessing ends."""

    metric: Metric
    measure: str
    """What sentences call it."""
    chance: float | None = None
    """Of a network that knows nothing; None: not known."""
    bound: float | None = None
    """Up to which a network may be guessing on the test split; None: not known."""
    note: str = ""
    """The protocol in a sentence."""
    example: str = "example"
    """What sentences call one of what is counted."""
    beside: tuple[Metric, ...] = ()
    """What tables print beside it."""

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Return the headline of a dataset, from what ``plugins.facts`` says of it."""
        metrics = {metric["name"]: Metric.of(metric) for metric in facts["metrics"]}
        beside = tuple(metrics[name] for name in facts["beside"])
        return cls(
            metric=next(iter(metrics.values())),
            measure=facts["measure"],
            chance=facts["chance"],
            bound=facts["chance_bound"],
            note=facts["note"],
            example=facts["example"],
            beside=beside,
        )

    def role(self, name: str) -> str:
        """Return what tidy rows call a metric; an empty text for others than the headline.

        >>> headline = Headline(Metric("mae", "MAE", "1", "lower", 3), "MAE")
        >>> headline.role("mae_uniform"), headline.role("mae_of_adults"), headline.role("loss")
        ('headline_uniform', '', '')
        """
        own = self.metric.name
        treatment = name.removeprefix(own)
        is_own = name.startswith(own) and treatment in get_args(Treatment)
        return ROLE + treatment if is_own else ""

    def is_guess(self, value: float) -> bool:
        """Return whether a network that knows nothing may reach ``value``, or it is not finite."""
        sign = self.metric.sign
        beyond = self.bound is not None and sign * value <= sign * self.bound
        return beyond or not isfinite(value)

    @property
    def guessing(self) -> str:
        """Why a value up to the bound of guessing is none."""
        return f"test {self.measure} is that of guessing"

    @property
    def definition(self) -> str:
        """What its values in tables are, in a sentence.

        >>> Headline(Metric("miou", "Mean IoU", "percent", "higher", 2), "overlap").definition
        'Overlap is mean IoU on the test split after the last epoch'
        >>> Headline(Metric("mae", "MAE", "1", "lower", 3), "MAE").definition
        'MAE is that on the test split after the last epoch'
        """
        what = "that" if self.measure == self.metric.spoken else self.metric.spoken
        measure = self.measure[:1].upper() + self.measure[1:]
        return f"{measure} is {what} on the test split after the last epoch"


def number(metric: Metric, value: float) -> str:
    """Return a value without its unit."""
    return f"{value:.{metric.digits}f}"


def heading(metric: Metric) -> str:
    """Return the heading of a group of columns.

    >>> heading(Metric("miou", "Mean IoU", "percent", "higher", 2))
    'mean IoU, %'
    """
    unit = _sign(metric)
    return f"{metric.spoken}, {unit}" if unit else metric.spoken


def label(metric: Metric) -> str:
    """Return the label of an axis.

    >>> label(Metric("miou", "Mean IoU", "percent", "higher", 2))
    'mean IoU (%)'
    """
    unit = _sign(metric)
    return f"{metric.spoken} ({unit})" if unit else metric.spoken


def sentence(metric: Metric) -> str:
    """Return what a note begins with.

    >>> sentence(Metric("miou", "Mean IoU", "percent", "higher", 2))
    'Mean IoU in percent'
    """
    return metric.title if metric.unit == "1" else f"{metric.title} in {metric.unit}"


def best(metric: Metric) -> str:
    """Return how the best value is called."""
    return "highest" if metric.better == "higher" else "lowest"


def _sign(metric: Metric) -> str:
    """Return the sign of the unit; nothing for none."""
    return {"percent": "%", "1": ""}.get(metric.unit, metric.unit)
