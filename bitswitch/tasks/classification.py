"""Classification: one class per example, judged by top-1 accuracy."""

from math import sqrt
from typing import Any, Self

import torch
from torch import Tensor

from bitswitch.contracts.metric import binomial_noise
from bitswitch.contracts.task import LOSS, Evaluator, Found, Metric, Rows
from bitswitch.runtime import transfers

LUCK = 3.09
"""Standard deviations that 99.9 % of guessing networks stay below."""

TOP1 = Metric("top1", "Top-1", "percent", "higher", 2)


class Classification(Rows):
    """Every example belongs to one class; all classes are taken as equally frequent."""

    metrics = (TOP1, Metric(LOSS, "Cross-entropy", "nats", "lower", 4))
    example = "image"
    note = "An example counts as right if its largest logit is at its label."

    @property
    def measure(self) -> str:
        return "accuracy"

    def headline_sum(self, outputs: Any, targets: Tensor) -> Tensor:
        return 100 * hits(self.rows(outputs), self.labels(targets))

    def evaluator(self) -> Evaluator:
        return Hits(self)

    def chance(self, outputs: int) -> float:
        return 100 / outputs

    def chance_bound(self, outputs: int, examples: int) -> float:
        """Return the accuracy in percent that 99.9 % of guessing networks stay below.

        >>> round(Classification().chance_bound(10, 1000), 2)
        12.93
        """
        chance = 1 / outputs
        return 100 * (chance + LUCK * sqrt(chance * (1 - chance) / examples))

    def noise(self, found: Found) -> float:
        """Return the binomial 95 % half-width of an accuracy in percent.

        >>> round(Classification().noise(Found({"top1": 93.0}, 10_000)), 2)
        0.5
        """
        return binomial_noise(found.values[TOP1.name], found.examples)


class Hits(Evaluator):
    """Hits of every example and the sum of losses, on the device until the end.

    Args:
        task: Says which rows and labels are meant.
    """

    def __init__(self, task: Rows) -> None:
        self.task = task
        self.examples = 0
        self._losses: Tensor | None = None
        self._right: list[Tensor] = []

    def add(self, outputs: Any, targets: Tensor) -> None:
        rows, labels = self.task.rows(outputs), self.task.labels(targets)
        if self._losses is None:
            self._losses = torch.zeros(1, dtype=torch.float64, device=rows.device)
        self._losses += self.task.loss_sum(outputs, targets)
        self._right.append(right_ones(rows, labels))
        self.examples += len(targets)

    def merge(self, other: Self) -> None:
        if other._losses is not None:
            mine = torch.zeros_like(other._losses) if self._losses is None else self._losses
            self._losses = mine + other._losses.to(mine.device)
            self._right += [right.to(mine.device) for right in other._right]
        self.examples += other.examples

    def result(self) -> Found:
        if self._losses is None:
            raise ValueError("nothing was evaluated")
        losses, *ones = transfers.to_host(torch.cat([self._losses, *self._right]))
        right = bytes(map(int, ones))
        values = {TOP1.name: 100 * sum(right) / self.examples, LOSS: losses / self.examples}
        return Found(values, self.examples, correct={TOP1.name: right})


def hits(rows: Tensor, labels: Tensor) -> Tensor:
    """Return how many of ``rows`` [n, classes] are largest at their labels [n], int64 []."""
    return right_ones(rows, labels).sum()


def right_ones(rows: Tensor, labels: Tensor) -> Tensor:
    """Return whether each of ``rows`` [n, classes] is largest at its label, bool [n]."""
    return rows.argmax(1) == labels
