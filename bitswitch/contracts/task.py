"""Tasks: what a network is trained for, and by which numbers it is judged."""

from math import isfinite, nan
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bitswitch.contracts.metric import LOSS, Found, Metric
from bitswitch.errors import SpecError
from bitswitch.nn.losses import soft_cross_entropy

__all__ = ["LOSS", "UNCOUNTED", "Evaluator", "Found", "Metric", "Rows", "Task"]


UNCOUNTED = -100
"""Class index of a unit that does not count."""


class Evaluator:
    """Collects what a network says, batch by batch."""

    def add(self, outputs: Any, targets: Tensor) -> None:
        """Count one batch.

        Args:
            outputs: Of the network.
            targets: Of the batch, [n, ...].
        """
        raise NotImplementedError

    def merge(self, other: Self) -> None:
        """Count what ``other`` has counted too, behind what this one has counted.

        Several processes then share an evaluation. Without it, each of them does it all.
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
    example: str = "example"
    """What sentences call one of them."""
    beside: tuple[str, ...] = ()
    """Names of metrics that tables print beside the headline."""

    @property
    def measure(self) -> str:
        """What a sentence calls the headline; default: its title."""
        return self.headline.spoken

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

    def loss_sum(self, outputs: Any, targets: Tensor) -> Tensor:
        """Return the loss of a batch, added up over its examples; default: the mean, as often.

        Args:
            outputs: Of the network.
            targets: Of the batch, [n, ...].
        """
        return self.loss(outputs, targets) * len(targets)

    def soft_loss(self, outputs: Any, teacher: Any) -> Tensor:
        """Return the mean loss of ``outputs`` to those of a teacher, a scalar.

        Args:
            outputs: Of the network.
            teacher: The same of another bit-width, detached.
        """
        raise NotImplementedError

    def headline_sum(self, outputs: Any, targets: Tensor) -> Tensor:
        """Return the headline of a training batch times its size, a scalar on the same device.

        Training curves show its mean over the examples of an epoch. Default: NaN, they show none.

        Args:
            outputs: Of the network, detached.
            targets: Of the batch, [n, ...].
        """
        return torch.full((), nan, device=targets.device)

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

    def is_chance(self, value: float, outputs: int, examples: int) -> bool:
        """Return whether a headline is no better than that of a network that knows nothing.

        One that is not finite never is.

        Args:
            value: Of the headline.
            outputs: Of the network.
            examples: Of the split.
        """
        bound = self.chance_bound(outputs, examples)
        sign = self.headline.sign
        return not isfinite(value) or (bound is not None and sign * value <= sign * bound)

    def noise(self, found: Found) -> float | None:
        """Return the 95 % half-width of the headline; None: not known.

        It is that of a sample of so many examples, at this network.
        """
        return None

    def paired_noise(self, found: Found, other: Found) -> float | None:
        """Return the 95 % half-width of the difference of two headlines; None: not known.

        It is that on the metric's scale, of two networks on the same sample of examples, and
        smaller than either's where both find the same examples hard.
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

    def loss_sum(self, outputs: Any, targets: Tensor) -> Tensor:
        return cross_entropy(self.rows(outputs), self.labels(targets), reduction="sum")

    def soft_loss(self, outputs: Any, teacher: Any) -> Tensor:
        return soft_cross_entropy(self.rows(outputs), self.rows(teacher))


ROWS = Rows()
"""Of networks whose outputs are logits, where no dataset says more."""


def rows_of(task: Task, who: str) -> Rows:
    """Return ``task``, for what needs logits as rows.

    Args:
        task: Of the dataset.
        who: Needs them, for the message.

    Raises:
        SpecError: its outputs are no rows of logits.
    """
    if not isinstance(task, Rows):
        raise SpecError(
            f"{who} needs a task that classifies, whose outputs are rows of logits "
            f"(bitswitch.contracts.task.Rows); {type(task).__name__} is none."
        )
    return task
