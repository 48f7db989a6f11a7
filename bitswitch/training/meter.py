"""What the steps of an epoch add up to."""

from dataclasses import dataclass

from bitswitch.training.step import PassResult


@dataclass
class EpochMeter:
    """Sums over the steps of an epoch at one bit-width."""

    steps: int = 0
    images: int = 0
    correct: int = 0
    loss: float = 0.0
    mean_gradient: float = 0.0
    scale_learning_rate: float = 0.0
    negative: int = 0
    """Steps whose scale learning rate was below zero."""

    def add(self, outcome: PassResult, images: int) -> None:
        """Count one pass on ``images`` images."""
        self.steps += 1
        self.images += images
        self.correct += outcome.correct
        self.loss += outcome.loss
        self.mean_gradient += outcome.mean_gradient
        self.scale_learning_rate += outcome.scale_learning_rate
        self.negative += outcome.scale_learning_rate < 0

    def summary(self, with_scales: bool) -> dict[str, float]:
        """Return the means over all steps, accuracy in percent; empty where there were none.

        Args:
            with_scales: Whether there are scales to speak of.
        """
        if not self.steps:
            return {}
        means = {"loss": self.loss / self.steps, "top1": 100 * self.correct / self.images}
        if with_scales:
            means |= {
                "scale_learning_rate": self.scale_learning_rate / self.steps,
                "negative_share": self.negative / self.steps,
                "mean_gradient": self.mean_gradient / self.steps,
            }
        return means
