"""What the steps of an epoch add up to."""

from dataclasses import dataclass
from math import isnan

from bitswitch.contracts.metric import LOSS
from bitswitch.training.step import PassResult


@dataclass
class EpochMeter:
    """Sums over the steps of an epoch at one bit-width."""

    steps: int = 0
    examples: int = 0
    headline: float = 0.0
    """Of the task, times examples; NaN: it has none in training."""
    loss: float = 0.0
    mean_gradient: float | None = None
    """None: not recorded."""
    scale_learning_rate: float = 0.0
    negative: int = 0
    """Steps whose scale learning rate was below zero."""

    def add(self, result: PassResult, examples: int) -> None:
        """Count one pass on so many ``examples``."""
        self.steps += 1
        self.examples += examples
        self.headline += result.headline
        self.loss += result.loss
        if result.mean_gradient is not None:
            self.mean_gradient = (self.mean_gradient or 0.0) + result.mean_gradient
        self.scale_learning_rate += result.scale_learning_rate
        self.negative += result.scale_learning_rate < 0

    def summary(self, headline: str, with_scales: bool) -> dict[str, float]:
        """Return the means over all steps; empty where there were none.

        Args:
            headline: Name of the task's.
            with_scales: Whether there are scales to speak of.
        """
        if not self.steps:
            return {}
        means = {LOSS: self.loss / self.steps}
        if not isnan(self.headline):
            means[headline] = self.headline / self.examples
        if with_scales:
            means |= {
                "scale_learning_rate": self.scale_learning_rate / self.steps,
                "negative_share": self.negative / self.steps,
            }
        if with_scales and self.mean_gradient is not None:
            means["mean_gradient"] = self.mean_gradient / self.steps
        return means
