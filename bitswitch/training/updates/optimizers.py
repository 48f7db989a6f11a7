"""The two optimizers of a run, and the schedule of its learning rate."""

from collections.abc import Iterable
from math import ceil, cos, pi
from typing import Any, NamedTuple, Self

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from bitswitch.nn.model import QuantizedModel
from bitswitch.spec.training import AlrsSpec, TrainingSpec
from bitswitch.training.updates.uncompiled import uncompiled


def scheduled(training: TrainingSpec, step: int, steps: int) -> float:
    """Return lambda of a 0-based ``step``: the full rate times what warm-up and schedule leave.

    Warm-up rises linearly to the full rate; cosine then falls to ``final_share`` of it at
    ``steps``; ``step`` multiplies by ``decay`` at every milestone, a share of the whole run.
    """
    rate = training.learning_rate
    warmup = steps * training.warmup_epochs / training.epochs
    if step < warmup:
        return rate * (step + 1) / ceil(warmup)
    match training.schedule:
        case "constant":
            return rate
        case "step":
            passed = sum(step >= milestone * steps for milestone in training.milestones)
            return rate * training.decay**passed
        case "cosine":
            left = 0.5 * (1 + cos(pi * (step - warmup) / (steps - warmup)))
            return rate * (training.final_share + (1 - training.final_share) * left)


class Rates(NamedTuple):
    """Learning rates of one step."""

    weights: float
    """Of convolutions and linear layers."""
    others: float
    """Of batch norms and biases."""
    scales: float

    @classmethod
    def of(cls, rate: float, scale_rate: float, alrs: AlrsSpec | None = None) -> Self:
        """Return ``rate`` for all but scales, and ``scale_rate`` for what ALRS targets too."""
        target = alrs.target if alrs else "scales"
        weights = scale_rate if target == "scales+weights" else rate
        return cls(weights, rate if target == "scales" else scale_rate, scale_rate)


class Optimizers(NamedTuple):
    """What changes the parameters of a model."""

    weights: Optimizer
    """Weights, biases and batch norm."""
    scales: Optimizer | None
    """Quantization scales; None where there are none."""

    @classmethod
    def of(cls, model: QuantizedModel, training: TrainingSpec) -> Self:
        """Return optimizers for all parameters of ``model``.

        Weight decay is for weights of convolutions and linear layers alone: not for scales
        (huang2025nearly, section 4), nor for biases and batch norm, as in its code, nor for
        embeddings, which are no factors of a sum.
        """
        others = list(model.other_parameters().values())
        tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
        decayed = [p for p in others if p.dim() > 1 and id(p) not in tables]
        kept = [p for p in others if p.dim() <= 1 or id(p) in tables]
        groups = [
            {"params": decayed, "weight_decay": training.weight_decay},
            {"params": kept, "weight_decay": 0.0},
        ]
        learned = list(model.scale_parameters().values())
        scales = [{"params": learned, "weight_decay": 0.0}] if learned else []
        return cls(
            _optimizer(training.optimizer, training, groups),
            _optimizer(training.scale_optimizer or training.optimizer, training, scales)
            if scales
            else None,
        )

    def step(self, rates: Rates) -> None:
        """Update every parameter that has a gradient, at these learning rates, and clear it."""
        of_groups = ((self.weights, rates[:2]), (self.scales, rates[2:]))
        for optimizer, chosen in of_groups:
            if optimizer is not None:
                for group, rate in zip(optimizer.param_groups, chosen, strict=True):
                    group["lr"] = rate
                optimizer.step()
                optimizer.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of both."""
        return {name: one.state_dict() for name, one in self._asdict().items() if one is not None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state of both."""
        for name, one in self._asdict().items():
            if one is not None:
                one.load_state_dict(state[name])


def _optimizer(name: str, training: TrainingSpec, groups: Iterable[dict[str, Any]]) -> Optimizer:
    """Return one optimizer, in few kernels: a step of a small network is mostly overhead.

    The fused kernel of SGD fails where some parameters get their first gradient later than others.
    """
    groups, rate = list(groups), training.learning_rate
    if name != "sgd":
        kind: type[Adam] = AdamW if name == "adamw" else Adam
        return uncompiled(kind)(groups, lr=rate, betas=training.betas, fused=True)
    momentum = training.momentum
    nesterov = training.nesterov and momentum > 0
    plain = uncompiled(SGD)
    return plain(groups, lr=rate, momentum=momentum, nesterov=nesterov, foreach=True)


def drop_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Keep an optimizer from moving ``parameters`` by momentum alone."""
    for parameter in parameters:
        parameter.grad = None
