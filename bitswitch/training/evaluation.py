"""Metrics of a model at bit-widths and policies."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import torch

from bitswitch.contracts.data import Batch, OpenDataset
from bitswitch.contracts.metric import Found
from bitswitch.contracts.task import Task
from bitswitch.nn.model import QuantizedModel
from bitswitch.types import Policy

Key = TypeVar("Key")


def evaluate(
    model: QuantizedModel,
    task: Task,
    dataset: OpenDataset,
    split: str,
    check: Callable[[], None],
) -> dict[int, Found]:
    """Return the metrics of every bit-width of ``model`` on ``split``, each example counted once.

    Args:
        model: Is left in evaluation mode.
        task: Says what counts.
        dataset: On the device of ``model``.
        split: ``held_out`` or ``test``.
        check: Called between batches; may raise to stop.
    """

    def batches() -> Iterator[Batch]:
        for batch in dataset.batches(split, task.batch_size):
            check()
            yield batch

    return evaluate_at({bits: bits for bits in model.bitset}, model, task, batches())


@torch.no_grad()
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
    model.eval()
    evaluators = {key: task.evaluator() for key in policies}
    for batch in batches:
        for key, evaluator in evaluators.items():
            model.switch(policies[key])
            evaluator.add(model(batch.inputs), batch.targets)
    return {key: evaluator.result() for key, evaluator in evaluators.items()}
