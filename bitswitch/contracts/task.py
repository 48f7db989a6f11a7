"""Tasks: what a network is trained for, and by which numbers it is judged."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from torch import Tensor
from torch.nn.functional import cross_entropy

from bitswitch.nn.losses import soft_cross_entropy

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

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return 1 if self.better == "higher" else -1

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


class Evaluator:
    """Collects what a network says, batch by batch."""

    def add(self, outputs: Any, targets: Tensor) -> None:
        """Count one batch.

        Args:
            outputs: Of the network.
            targets: Of the batch, [n, ...].
        """
        raise NotImplementedError

    def result(self) -> Found:
        """Return the metrics of all batches so far."""
        raise NotImplementedError


class Task:
    """What a dataset asks of a network; a dataset has one as its ``task``.

    Methods, searches and reports know no metric by name: they take the headline, and its direction.
    """

    metrics: tuple[Metric, ...]
    """The headline first: tables print it, searches and verdicts go by it. One is ``loss``."""
    note: str = ""
    """The protocol in a sentence, printed below tables."""
    batch_size: int = 256
    """Examples that are evaluated at once."""

    @property
    def headline(self) -> Metric:
        """The metric that counts."""
        return self.metrics[0]

    def loss(self, outputs: Any, targets: Tensor) -> Tensor:
        """Return the mean loss of a batch, a scalar.

        Args:
            outputs: Of the network.
            targets: Of the batch, [n, ...].
        """
        raise NotImplementedError

    def soft_loss(self, outputs: Any, teacher: Any) -> Tensor:
        """Return the mean loss of ``outputs`` to those of a teacher, a scalar.

        Args:
            outputs: Of the network.
            teacher: The same of another bit-width, detached.
        """
        raise NotImplementedError

    def headline_sum(self, outputs: Any, targets: Tensor) -> Tensor:
        """Return the headline of a training batch times its size, a scalar on the same device.

        Training curves show its mean over the examples of an epoch. Where the headline is no mean
        over examples, something like it that is.

        Args:
            outputs: Of the network, detached.
            targets: Of the batch, [n, ...].
        """
        raise NotImplementedError

    def evaluator(self) -> Evaluator:
        """Return a new evaluator, for one split at one policy."""
        raise NotImplementedError

    def chance(self, outputs: int) -> float | None:
        """Return the headline to expect of a network that knows nothing; None: not known.

        Args:
            outputs: Of the network.
        """
        return None

    def chance_bound(self, outputs: int, examples: int) -> float | None:
        """Return the headline that a network which knows nothing hardly ever beats.

        Networks that are no better count as collapsed. Default: ``chance``, without a margin.

        Args:
            outputs: Of the network.
            examples: Of the split.
        """
        return self.chance(outputs)

    def noise(self, found: Found) -> float | None:
        """Return the 95 % half-width of the headline; None: not known.

        It is that of a sample of so many examples, at this network.
        """
        return None


class Rows(Task):
    """A task whose outputs are rows of logits, one for every unit that is classified.

    What needs logits as rows, say Gauss-Newton traces, asks for such a task.
    """

    def rows(self, outputs: Any) -> Tensor:
        """Return logits [units, classes]; default: the outputs are."""
        rows: Tensor = outputs
        return rows

    def labels(self, targets: Tensor) -> Tensor:
        """Return class indices [units], -100 for units that do not count; default: the targets.

        Smoothed targets, [units, classes], are left as they are.
        """
        return targets

    def loss(self, outputs: Any, targets: Tensor) -> Tensor:
        return cross_entropy(self.rows(outputs), self.labels(targets))

    def soft_loss(self, outputs: Any, teacher: Any) -> Tensor:
        return soft_cross_entropy(self.rows(outputs), self.rows(teacher))
