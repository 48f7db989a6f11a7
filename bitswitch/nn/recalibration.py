"""Measure the statistics of batch norms anew, for every bit-width on its own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.nn.model import QuantizedModel
from bitswitch.types import Policy


@runtime_checkable
class Recalibrated(Protocol):
    """A normalisation with statistics of its own for every bit-width."""

    def begin_recalibration(self) -> None:
        """Reset the statistics in use; from now on, average evenly over the batches seen."""

    def end_recalibration(self) -> None:
        """Keep what was measured; go on as before ``begin_recalibration``."""


@torch.no_grad()
def recalibrate(model: QuantizedModel, batches: Callable[[], Iterable[Tensor]]) -> None:
    """Replace the running statistics of every bit-width by averages over ``batches``.

    Every batch counts the same, whatever its size: the result is the mean of the batches' means
    and of their unbiased variances. The rest of the model works as in evaluation. A plain batch
    norm, shared by all bit-widths, averages over what it sees at all of them.

    Args:
        model: Its policy, modes, momenta and parameters are left as they are.
        batches: Gives the same batches [n, ...] at every call, at least one.
    """
    _recalibrate(model, model.bitset, batches)


@torch.no_grad()
def recalibrated_at(
    model: QuantizedModel, policy: int | Policy, batches: Callable[[], Iterable[Tensor]]
) -> None:
    """Do the same for one policy alone, and the statistics that are in use at it."""
    _recalibrate(model, [policy], batches)


def _recalibrate(
    model: QuantizedModel,
    policies: Sequence[int | Policy],
    batches: Callable[[], Iterable[Tensor]],
) -> None:
    norms = [module for module in model.modules() if isinstance(module, Recalibrated)]
    shared = [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and not isinstance(module, Recalibrated)
    ]
    if not norms and not shared:
        return
    with _evaluating(model), ExitStack() as stack:
        for norm in shared:
            stack.enter_context(_averaging(norm))
        for policy in policies:
            _recalibrate_one(model, policy, norms, batches())


def _recalibrate_one(
    model: QuantizedModel,
    policy: int | Policy,
    norms: Sequence[Recalibrated],
    batches: Iterable[Tensor],
) -> None:
    """Measure the statistics that are in use at one policy."""
    with model.at(policy), ExitStack() as stack:
        for norm in norms:
            norm.begin_recalibration()
            stack.callback(norm.end_recalibration)
        for images in batches:
            model(images)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluate inside the ``with`` block, then give every module its own mode back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _averaging(norm: _BatchNorm) -> Iterator[None]:
    """Do to a plain batch norm what ``Recalibrated`` describes."""
    momentum, seen = norm.momentum, count(1)

    def weigh(module: nn.Module, inputs: Any) -> None:
        # A momentum of None does the same, and asks the device for the number of batches.
        norm.momentum = 1.0 / next(seen)

    norm.reset_running_stats()
    norm.train()
    handle = norm.register_forward_pre_hook(weigh)
    try:
        yield
    finally:
        handle.remove()
        norm.momentum = momentum
