"""What a training step changes: the model, its optimizers, and what they need."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor, nn

from bitswitch.contracts.method import Method
from bitswitch.errors import SpecError
from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.norms.together import synchronize
from bitswitch.runtime.ranks import ALONE, Ranks
from bitswitch.spec.training import TrainingSpec
from bitswitch.training.distillation import Distillation
from bitswitch.training.health import flat, reflect_scales
from bitswitch.training.unread import Unread
from bitswitch.training.updates.optimizers import Optimizers, Rates
from bitswitch.training.updates.pass_gradients import PassGradients
from bitswitch.training.updates.scale_gradients import ScaleGradients, scale_gradients
from bitswitch.training.updates.scale_steps import scale_step


@dataclass
class TrainState:
    """A model, and everything that a training step changes or needs."""

    method: Method
    model: QuantizedModel
    training: TrainingSpec
    optimizers: Optimizers
    distillation: Distillation
    gradients: dict[int, ScaleGradients]
    """Statistics of scale gradients by bit-width; empty where nobody asks for them."""
    scales: list[nn.Parameter]
    """All scales of the model."""
    layers: list[str]
    """Names of the layers with switchable bit-widths."""
    idle: dict[int, list[nn.Parameter]]
    """Parameters that each bit-width does not use."""
    apart: PassGradients | None
    """Gradients of parameters that every bit-width uses, where the method weighs passes."""
    crossed: Tensor
    """How many scales the updates of this step have mirrored at zero, int64 []."""
    reflections: int = 0
    """The same, since the start and up to the last step."""
    ranks: Ranks = ALONE
    """Who else works on the run, each on its share of every batch."""
    unread: Unread = field(default_factory=Unread)
    """What steps have found, as long as it is on the device alone."""
    reads_at_once: bool = True
    """Whether every pass reads what it found: waiting for a processor costs nothing, and several
    ranks tell each other in every pass whether to stop."""
    _flat: Tensor | None = None
    """See ``flat_scales``; None: they have changed since."""

    @classmethod
    def of(
        cls,
        method: Method,
        model: QuantizedModel,
        training: TrainingSpec,
        distillation: Distillation,
        ranks: Ranks = ALONE,
    ) -> Self:
        """Return the state at the start of training."""
        idle = {}
        for bits in model.bitset:
            with model.at(bits):
                idle[bits] = model.inactive_parameters()
        if training.batch_norm == "sync":
            synchronize(model, ranks)
        if not ranks.alone:
            if method.needs_whole_batch:
                raise SpecError(
                    f"{type(method).__name__} looks at the whole batch, and {ranks.count} "
                    f"processes cut it.\n  Train it in one process."
                )
            model.cut_batches(ranks.count * ranks.parts(training.accumulate))
        device = next(model.parameters()).device
        recorded = training.record_scale_gradients or method.needs_scale_gradients(training)
        return cls(
            method=method,
            model=model,
            training=training,
            optimizers=Optimizers.of(model, training),
            distillation=distillation,
            gradients=scale_gradients(model) if recorded else {},
            scales=list(model.scale_parameters().values()),
            layers=list(model.layers),
            idle=idle,
            apart=PassGradients(_used_by_all(model, idle)) if method.weighs_passes else None,
            crossed=torch.zeros((), dtype=torch.int64, device=device),
            ranks=ranks,
            reads_at_once=device.type == "cpu" or not ranks.alone,
        )

    def flat_scales(self) -> Tensor:
        """Return a copy of all scales as they are now, [values]."""
        if self._flat is None:
            self._flat = flat(self.scales)
        return self._flat

    def scale_rate(self, rate: float) -> float:
        """Return the scheduled learning rate of scales that goes with that of weights."""
        own = self.training.scale_learning_rate
        return rate if own is None else rate * own / self.training.learning_rate

    def step(self, rates: Rates) -> None:
        """Update all parameters at these learning rates; scales stay positive."""
        self.ranks.total(self._own_gradients())
        if self.training.clip_value is not None:
            nn.utils.clip_grad_value_(self.model.parameters(), self.training.clip_value)
        if self.training.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.training.clip_norm)
        with scale_step(self.training.scale_step, self.scales, rates.scales):
            self.optimizers.step(rates)
        if self.scales and self.training.scale_guard == "reflect":
            self.crossed += reflect_scales(self.scales)
        self._flat = None

    def _own_gradients(self) -> Iterator[Tensor]:
        """Yield the gradients that are of this rank's share alone; those kept apart are not."""
        added = set() if self.apart is None else {id(one) for one in self.apart.parameters}
        for parameter in self.model.parameters():
            if parameter.grad is not None and id(parameter) not in added:
                yield parameter.grad


def _used_by_all(
    model: QuantizedModel, idle: Mapping[int, Sequence[nn.Parameter]]
) -> list[nn.Parameter]:
    """Return the trained parameters that no bit-width leaves out."""
    single = {id(parameter) for parameters in idle.values() for parameter in parameters}
    return [p for p in model.parameters() if p.requires_grad and id(p) not in single]
