"""The headline of a task, and how tables and figures write it."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from bitswitch.contracts.metric import Metric

PRINTED = Metric("top1", "Top-1", "percent", "higher", 2)
"""What the publication prints."""

ROLE = "headline"
"""What tidy rows call the headline of their task, whichever it is; what was done to the network
before stands behind it, e.g. ``headline_recalibrated``."""


class Headline(NamedTuple):
    """What a dataset asks of networks, and where guessing ends."""

    metric: Metric = PRINTED
    chance: float | None = None
    """Of a network that knows nothing; None: not known."""
    bound: float | None = None
    """Up to which a network may be guessing on the test split; None: not known."""
    note: str = ""
    """The protocol in a sentence."""

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Return the headline of a dataset, from what ``plugins.facts`` says of it."""
        metric = Metric.of(facts["metrics"][0])
        return cls(metric, facts["chance"], facts["chance_bound"], facts["note"])

    def role(self, name: str) -> str:
        """Return what tidy rows call a metric; an empty text for others than the headline.

        >>> Headline().role("top1_uniform"), Headline().role("loss")
        ('headline_uniform', '')
        """
        own = self.metric.name
        is_own = name == own or name.startswith(f"{own}_")
        return ROLE + name.removeprefix(own) if is_own else ""

    def is_guess(self, value: float) -> bool:
        """Return whether a network that knows nothing may reach ``value``."""
        sign = self.metric.sign
        return self.bound is not None and sign * value <= sign * self.bound


def number(metric: Metric, value: float) -> str:
    """Return a value without its unit."""
    return f"{value:.{metric.digits}f}"


def spoken(metric: Metric) -> str:
    """Return the title as it stands within a sentence.

    >>> spoken(PRINTED), spoken(Metric("mae", "MAE", "1", "lower", 3))
    ('top-1', 'MAE')
    """
    return metric.title if metric.title.isupper() else metric.title[:1].lower() + metric.title[1:]


def kind(metric: Metric) -> str:
    """Return what a sentence about guessing calls it.

    >>> kind(PRINTED), kind(Metric("mae", "MAE", "1", "lower", 3))
    ('accuracy', 'MAE')
    """
    return "accuracy" if metric == PRINTED else spoken(metric)


def guessing(metric: Metric) -> str:
    """Return why a value up to the bound of guessing is none."""
    return f"test {kind(metric)} is that of guessing"


def heading(metric: Metric) -> str:
    """Return the heading of a group of columns.

    >>> heading(PRINTED), heading(Metric("mae", "MAE", "1", "lower", 3))
    ('top-1, %', 'MAE')
    """
    unit = _sign(metric)
    return f"{spoken(metric)}, {unit}" if unit else spoken(metric)


def label(metric: Metric) -> str:
    """Return the label of an axis.

    >>> label(PRINTED)
    'top-1 (%)'
    """
    unit = _sign(metric)
    return f"{spoken(metric)} ({unit})" if unit else spoken(metric)


def sentence(metric: Metric) -> str:
    """Return what a note begins with.

    >>> sentence(PRINTED)
    'Top-1 in percent'
    """
    return metric.title if metric.unit == "1" else f"{metric.title} in {metric.unit}"


def best(metric: Metric) -> str:
    """Return how the best value is called."""
    return "highest" if metric.better == "higher" else "lowest"


def _sign(metric: Metric) -> str:
    """Return the sign of the unit; nothing for none."""
    return {"percent": "%", "1": ""}.get(metric.unit, metric.unit)
