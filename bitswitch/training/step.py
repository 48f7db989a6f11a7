"""One training step: every pass of the method on one batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from bitswitch.contracts import Batch, Pass
from bitswitch.nn.model import QuantizedModel
from bitswitch.spec import TrainingSpec
from bitswitch.training import alrs
from bitswitch.training.distillation import Distillation, probabilities
from bitswitch.training.health import check_loss, check_scales, reflect_scales
from bitswitch.training.optimizers import Optimizers, drop_gradients
from bitswitch.training.scale_gradients import ScaleGradients, scale_gradients


class Outcome(NamedTuple):
    """What one pass gave."""

    bits: int
    loss: float
    """Mean over the batch."""
    correct: int
    """Images whose largest logit is at the label."""
    mean_gradient: float
    """Gradient term of Eq. 6, in [0, 1]."""
    scale_learning_rate: float
    """lambda_b."""


@dataclass
class Learner:
    """A model, and everything that a training step changes or needs."""

    model: QuantizedModel
    training: TrainingSpec
    passes: Sequence[Pass]
    optimizers: Optimizers
    distillation: Distillation
    gradients: dict[int, ScaleGradients]
    factors: dict[int, float]
    scales: list[nn.Parameter]
    """All scales of the model."""
    idle: dict[int, list[nn.Parameter]]
    """Parameters that each bit-width does not use."""
    reflections: Tensor
    """How many scales crossed zero and were mirrored since the start, int64 []."""

    @classmethod
    def of(
        cls,
        model: QuantizedModel,
        training: TrainingSpec,
        passes: Sequence[Pass],
        distillation: Distillation,
    ) -> Self:
        """Return a learner at the start of training."""
        idle = {}
        for bits in model.bitset:
            with model.at(bits):
                idle[bits] = model.inactive_parameters()
        return cls(
            model=model,
            training=training,
            passes=passes,
            optimizers=Optimizers.of(model, training),
            distillation=distillation,
            gradients=scale_gradients(model),
            factors=alrs.factors(model.bitset, training.alrs.factors),
            scales=list(model.scale_parameters().values()),
            idle=idle,
            reflections=torch.zeros((), dtype=torch.int64, device=next(model.parameters()).device),
        )

    def step(self, rate: float, scale_rate: float) -> None:
        """Update weights and scales at these learning rates; scales stay positive."""
        self.optimizers.step(rate, scale_rate)
        if self.scales and self.training.scale_guard == "reflect":
            self.reflections += reflect_scales(self.scales)


def train_step(learner: Learner, batch: Batch, rate: float, epoch: int, step: int) -> list[Outcome]:
    """Run all passes on ``batch`` and update the model.

    A pass that updates steps both optimizers and clears the gradients (huang2025nearly,
    Alg. A.2). Otherwise gradients add up until the last pass, and one step at ``rate`` follows
    (Alg. A.1).

    Args:
        learner: Is changed.
        batch: n images.
        rate: lambda, the scheduled learning rate.
        epoch: 0-based.
        step: 0-based, for diagnoses.

    Returns:
        One outcome per pass.

    Raises:
        Diverged: a loss that is not finite, or a scale that is not positive.
    """
    targets = learner.distillation.targets(batch, epoch)
    predictions: dict[int, Tensor] = {}
    outcomes = []
    for part in learner.passes:
        outcome = _run_pass(learner, part, batch, targets, predictions, rate, step)
        outcomes.append(outcome)
        if part.update:
            _update(learner, part.bits, rate, outcome.scale_learning_rate)
    if not learner.passes[-1].update:
        learner.step(rate, rate)
    learner.distillation.remember(batch, predictions)
    rates = {outcome.bits: outcome.scale_learning_rate for outcome in outcomes}
    check_scales(learner.model, learner.scales, f"after step {step}", rates)
    return outcomes


def _run_pass(
    learner: Learner,
    part: Pass,
    batch: Batch,
    targets: Tensor,
    predictions: dict[int, Tensor],
    rate: float,
    step: int,
) -> Outcome:
    """Add the gradients of one pass, and its probabilities to ``predictions``."""
    learner.model.switch(part.bits)
    gradients = learner.gradients[part.bits]
    before = gradients.vector()
    logits = learner.model(batch.images)
    loss = learner.distillation.loss(logits, targets, part, predictions)
    loss.backward()  # type: ignore[no-untyped-call]
    predictions[part.bits] = probabilities(logits)
    gradient = gradients.vector() - before
    gradients.add(gradient)
    correct = (logits.detach().argmax(1) == batch.targets).sum()
    # The only values that leave the device, in one transfer.
    sent = torch.cat([torch.stack([loss.detach(), correct]), gradients.largest(gradient)])
    value, hits, *largest = sent.tolist()
    check_loss(value, f"at {part.bits} bit in step {step}", learner.model)
    mean = alrs.mean_clipped(largest)
    chosen = learner.training.alrs.reading
    scale_rate = alrs.learning_rate(chosen, rate, learner.factors[part.bits], mean)
    return Outcome(part.bits, value, int(hits), mean, scale_rate)


def _update(learner: Learner, bits: int, rate: float, scale_rate: float) -> None:
    """Step after one pass; parameters of other bit-widths stay as they are."""
    drop_gradients(learner.idle[bits])
    both = learner.training.alrs.target == "scales+weights"
    learner.step(scale_rate if both else rate, scale_rate)
