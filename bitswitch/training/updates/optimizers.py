"""The two optimizers of a run, and the schedule of its learning rate."""

from collections.abc import Iterable
from math import ceil, cos, pi
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
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


Rate = float | Tensor
"""A learning rate; [], on the device of the model, where it follows from what is computed there."""


class Rates(NamedTuple):
    """Learning rates of one step."""

    weights: Rate
    """Of convolutions and linear layers."""
    others: Rate
    """Of batch norms and biases."""
    scales: Rate

    @classmethod
    def of(cls, rate: float, scale_rate: Rate, alrs: AlrsSpec | None = None) -> Self:
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
        fused_sgd = next(model.parameters()).device.type != "cpu"
        return cls(
            _optimizer(training.optimizer, training, groups, fused_sgd),
            _optimizer(training.scale_optimizer or training.optimizer, training, scales, fused_sgd)
            if scales
            else None,
        )

    def step(self, rates: Rates) -> None:
        """Update every parameter that has a gradient, at these learning rates, and clear it."""
        of_groups = ((self.weights, rates[:2]), (self.scales, rates[2:]))
        for optimizer, chosen in of_groups:
            if optimizer is not None:
                for group, rate in zip(optimizer.param_groups, chosen, strict=True):
                    group["lr"] = _as_kernels_read(rate)
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


def _as_kernels_read(rate: Rate) -> Rate:
    """Return ``rate`` as the kernels of optimizers take it: those of accelerators read float32."""
    return rate.float() if isinstance(rate, Tensor) and rate.device.type != "cpu" else rate


def _optimizer(
    name: str, training: TrainingSpec, groups: Iterable[dict[str, Any]], fused_sgd: bool
) -> Optimizer:
    """Return one optimizer, in few kernels: a step of a small network is mostly overhead.

    Args:
        name: Which.
        training: The recipe.
        groups: Parameters, and how their weights decay.
        fused_sgd: Whether SGD has one kernel, as Adam always has: it alone takes a rate from the
            memory of an accelerator without waiting for it.
    """
    groups, rate = list(groups), training.learning_rate
    if name != "sgd":
        kind: type[Adam] = AdamW if name == "adamw" else Adam
        return uncompiled(kind)(groups, lr=rate, betas=training.betas, fused=True)
    momentum = training.momentum
    nesterov = training.nesterov and momentum > 0
    kernels = {"fused": True} if fused_sgd else {"foreach": True}
    made = uncompiled(SGD)(groups, lr=rate, momentum=momentum, nesterov=nesterov, **kernels)
    if fused_sgd and momentum > 0:
        _start_momentum(made)
    return made


def _start_momentum(optimizer: Optimizer) -> None:
    """Let momentum begin at zero, from which the first gradient leads to where it begins anyway.

    The fused kernel of SGD fails where some parameters get their first gradient later than others.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def drop_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Keep an optimizer from moving ``parameters`` by momentum alone."""
    for parameter in parameters:
        parameter.grad = None
