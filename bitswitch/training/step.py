"""One training step: every pass of the method on one batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from bitswitch import transfers
from bitswitch.contracts import Batch, Lesson, Method, Moment, Pass
from bitswitch.nn.model import QuantizedModel
from bitswitch.passes import Wish
from bitswitch.spec import TrainingSpec
from bitswitch.training import alrs
from bitswitch.training.distillation import Distillation
from bitswitch.training.health import all_positive, by_scales, check_loss, reflect_scales
from bitswitch.training.optimizers import Optimizers, Rates, drop_gradients
from bitswitch.training.scale_gradients import ScaleGradients, scale_gradients


class Outcome(NamedTuple):
    """What one pass gave."""

    bits: int | None
    """None: it mixed several."""
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

    method: Method
    model: QuantizedModel
    training: TrainingSpec
    optimizers: Optimizers
    distillation: Distillation
    gradients: dict[int, ScaleGradients]
    factors: dict[int, float]
    scales: list[nn.Parameter]
    """All scales of the model."""
    layers: list[str]
    """Names of the layers with switchable bit-widths."""
    idle: dict[int, list[nn.Parameter]]
    """Parameters that each bit-width does not use."""
    crossed: Tensor
    """How many scales the updates of this step have mirrored at zero, int64 []."""
    reflections: int = 0
    """The same, since the start and up to the last step."""

    @classmethod
    def of(
        cls,
        method: Method,
        model: QuantizedModel,
        training: TrainingSpec,
        distillation: Distillation,
    ) -> Self:
        """Return a learner at the start of training."""
        idle = {}
        for bits in model.bitset:
            with model.at(bits):
                idle[bits] = model.inactive_parameters()
        return cls(
            method=method,
            model=model,
            training=training,
            optimizers=Optimizers.of(model, training),
            distillation=distillation,
            gradients=scale_gradients(model),
            factors=alrs.factors(model.bitset, training.alrs.factors),
            scales=list(model.scale_parameters().values()),
            layers=list(model.layers),
            idle=idle,
            crossed=torch.zeros((), dtype=torch.int64, device=next(model.parameters()).device),
        )

    def factor(self, part: Pass) -> float:
        """Return eta of a pass: that of its bit-width, whatever single layers take.

        Where it has none, the mean over the quantized operands.
        """
        if part.bits in self.factors:
            return self.factors[part.bits]
        return fmean(
            self.factors.get(bits, 1.0) for bits in part.widths() or [self.model.bitset[0]]
        )

    def scale_rate(self, rate: float) -> float:
        """Return the learning rate of scales that goes with that of weights, before ALRS."""
        own = self.training.scale_learning_rate
        return rate if own is None else rate * own / self.training.learning_rate

    def step(self, rates: Rates) -> None:
        """Update all parameters at these learning rates; scales stay positive."""
        if self.training.clip_value is not None:
            nn.utils.clip_grad_value_(self.model.parameters(), self.training.clip_value)
        self.optimizers.step(rates)
        if self.scales and self.training.scale_guard == "reflect":
            self.crossed += reflect_scales(self.scales)


def train_step(learner: Learner, batch: Batch, rate: float, moment: Moment) -> list[Outcome]:
    """Run all passes on ``batch`` and update the model.

    A pass that updates steps both optimizers and clears the gradients (huang2025nearly,
    Alg. A.2). Otherwise gradients add up until the last pass, and one step at ``rate`` follows
    (Alg. A.1).

    Args:
        learner: Is changed.
        batch: n images.
        rate: lambda, the scheduled learning rate.
        moment: Of this step.

    Returns:
        One outcome per pass.

    Raises:
        Diverged: a loss that is not finite, or a scale that is not positive.
    """
    passes = learner.method.passes(learner.training, moment, learner.layers)
    targets = learner.distillation.targets(batch, moment.epoch)
    earlier: list[Tensor] = []
    outcomes = []
    for part in passes:
        outcome = _run_pass(learner, part, batch, targets, earlier, rate, moment)
        outcomes.append(outcome)
        if part.update:
            _update(learner, part, rate, outcome.scale_learning_rate)
    if not passes[-1].update:
        learner.step(Rates.of(rate, learner.scale_rate(rate)))
    for part, logits in zip(passes, earlier, strict=True):
        if part.bits == learner.model.bitset[0]:
            learner.distillation.remember(logits, moment.epoch)
    rates = {str(part): one.scale_learning_rate for part, one in zip(passes, outcomes, strict=True)}
    _check_scales(learner, f"after step {moment.step}", rates)
    return outcomes


def _run_pass(
    learner: Learner,
    part: Pass,
    batch: Batch,
    targets: Tensor,
    earlier: list[Tensor],
    rate: float,
    moment: Moment,
) -> Outcome:
    """Add the gradients of one pass, and its detached logits to ``earlier``."""
    model = learner.model
    _switch(model, part)
    gradients = _gradients(learner, part)
    before = gradients.vector()
    logits = model(batch.images)
    lesson = Lesson(part, logits, targets, batch, tuple(earlier), model, moment)
    loss = learner.method.loss(lesson)
    loss.backward()  # type: ignore[no-untyped-call]
    earlier.append(logits.detach())
    gradient = gradients.vector() - before
    gradients.add(gradient)
    correct = (logits.detach().argmax(1) == batch.targets).sum()
    value, hits, *largest = _sent(
        torch.cat([torch.stack([loss.detach(), correct]), gradients.largest(gradient)]),
        lesson.wishes,
    )
    check_loss(value, f"at {part} in step {moment.step}", model)
    mean = alrs.mean_clipped(largest)
    base = learner.scale_rate(rate)
    scale_rate = alrs.learning_rate(learner.training.alrs.reading, base, learner.factor(part), mean)
    return Outcome(part.bits, value, int(hits), mean, scale_rate)


def _sent(values: Tensor, wishes: Sequence[Wish]) -> list[float]:
    """Return ``values``, and grant wishes: all that leaves the device in a pass, at once."""
    parts = [values, *(wish.values for wish in wishes)]
    sent: list[float] = transfers.to_host(torch.cat([part.to(values) for part in parts]))
    for wish in reversed(wishes):
        start = len(sent) - len(wish.values)
        wish.receive(sent[start:])
        del sent[start:]
    return sent


def _check_scales(learner: Learner, place: str, rates: Mapping[str, float]) -> None:
    """Count the scales that were mirrored in a step, and stop where one is not positive.

    Raises:
        Diverged: there is one.
    """
    if not learner.scales:
        return
    sent = torch.stack([all_positive(learner.scales), learner.crossed])
    positive, crossed = transfers.to_host(sent)
    learner.reflections += crossed
    learner.crossed.zero_()
    if not positive:
        raise by_scales(learner.model, place, rates)


def _switch(model: QuantizedModel, part: Pass) -> None:
    """Run at the bit-widths of a pass from now on.

    Raises:
        ValueError: a pass that has neither bit-width nor policy.
    """
    policy = part.bits if part.policy is None else part.policy
    if policy is None:
        raise ValueError("a pass needs bits or a policy")
    model.switch(policy)
    if part.setup is not None:
        part.setup(model)


def _gradients(learner: Learner, part: Pass) -> ScaleGradients:
    """Return where a pass counts its scale gradients; those of mixed passes are not kept."""
    if part.policy is None and part.bits in learner.gradients:
        return learner.gradients[part.bits]
    needed = part.update and learner.training.alrs.reading != "off"
    scales = learner.model.active_scales() if needed else {}
    return ScaleGradients(scales, learner.crossed.device)


def _update(learner: Learner, part: Pass, rate: float, scale_rate: float) -> None:
    """Step after one pass; parameters of other bit-widths stay as they are."""
    known = learner.idle.get(part.bits) if part.policy is None and part.bits else None
    drop_gradients(learner.model.inactive_parameters() if known is None else known)
    learner.step(Rates.of(rate, scale_rate, learner.training.alrs.target))
