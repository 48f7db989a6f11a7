"""Metrics of a model on one split."""

from collections.abc import Callable

import torch

from bitswitch.contracts.data import OpenDataset
from bitswitch.contracts.metric import Found
from bitswitch.contracts.task import Task
from bitswitch.nn.model import QuantizedModel


@torch.no_grad()
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
    model.eval()
    evaluators = {bits: task.evaluator() for bits in model.bitset}
    for batch in dataset.batches(split, task.batch_size):
        check()
        for bits, evaluator in evaluators.items():
            model.switch(bits)
            evaluator.add(model(batch.inputs), batch.targets)
    return {bits: evaluator.result() for bits, evaluator in evaluators.items()}
