"""Metrics of a model at bit-widths and policies."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import torch

from bitswitch.contracts.data import Batch, OpenDataset
from bitswitch.contracts.metric import Found
from bitswitch.contracts.task import Evaluator, Task
from bitswitch.nn.model import QuantizedModel
from bitswitch.runtime.ranks import ALONE, Ranks
from bitswitch.training.shares import share_of
from bitswitch.types import Policy

Key = TypeVar("Key")


def evaluate(
    model: QuantizedModel,
    task: Task,
    dataset: OpenDataset,
    split: str,
    check: Callable[[], None],
    ranks: Ranks = ALONE,
) -> dict[int, Found]:
    """Return the metrics of every bit-width of ``model`` on ``split``, each example counted once.

    Args:
        model: Is left in evaluation mode.
        task: Says what counts.
        dataset: On the device of ``model``.
        split: ``held_out`` or ``test``.
        check: Called between batches; may raise to stop.
        ranks: Share the batches, if evaluations of the task can be merged; all find the same.
    """
    shared = type(task.evaluator()).merge is not Evaluator.merge
    source = share_of(dataset, ranks) if shared else dataset

    def batches() -> Iterator[Batch]:
        for batch in source.batches(split, task.batch_size):
            check()
            yield batch

    evaluators = _evaluated({bits: bits for bits in model.bitset}, model, task, batches())
    if shared and not ranks.alone:
        device = next(model.parameters()).device
        evaluators = _merged(ranks.gathered(evaluators, device))
    return {key: evaluator.result() for key, evaluator in evaluators.items()}


def _merged(shares: Sequence[dict[Key, Evaluator]]) -> dict[Key, Evaluator]:
    """Return what all ranks have counted, in the order of the split."""
    first, *others = shares
    for other in others:
        for key, evaluator in first.items():
            evaluator.merge(other[key])
    return first


def evaluate_at(
    policies: Mapping[Key, Policy | int],
    model: QuantizedModel,
    task: Task,
    batches: Iterable[Batch],
) -> dict[Key, Found]:
    """Return the metrics of ``model`` at every policy, all of them on the same batches.

    Args:
        policies: Bit-widths, or those of every layer, by any name.
        model: Is left in evaluation mode, at the last of them.
        task: Says what counts.
        batches: On the device of ``model``.
    """
    evaluators = _evaluated(policies, model, task, batches)
    return {key: evaluator.result() for key, evaluator in evaluators.items()}


@torch.no_grad()
def _evaluated(
    policies: Mapping[Key, Policy | int],
    model: QuantizedModel,
    task: Task,
    batches: Iterable[Batch],
) -> dict[Key, Evaluator]:
    """Return what has counted, for ``evaluate_at``."""
    model.eval()
    evaluators = {key: task.evaluator() for key in policies}
    for batch in batches:
        for key, evaluator in evaluators.items():
            model.switch(policies[key])
            evaluator.add(model(batch.inputs), batch.targets)
    return evaluators
