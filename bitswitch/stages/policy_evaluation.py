"""Metrics of single policies of a trained network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

import torch
from torch import Tensor

from bitswitch.contracts.data import Batch, OpenDataset
from bitswitch.contracts.search import Evaluation
from bitswitch.contracts.streams import Stream
from bitswitch.contracts.task import Task
from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.recalibration import recalibrated_at
from bitswitch.spec.run import RunSpec
from bitswitch.training.evaluation import evaluate_at
from bitswitch.types import Policy


@torch.no_grad()
def evaluate_policy(
    model: QuantizedModel,
    task: Task,
    policy: Policy | int,
    batches: Callable[[], Iterator[Batch]],
    recalibration: Callable[[], Iterator[Tensor]] | None = None,
) -> Evaluation:
    """Return how good ``policy`` is, each example counted once.

    Args:
        model: Is left in evaluation mode, its statistics as they are.
        task: Of the dataset.
        policy: To switch to.
        batches: Examples to test on.
        recalibration: Inputs that batch norms see before, at this policy; None: they stay.
    """
    model.eval()
    with model.at(policy), _measured_anew(model, policy, recalibration):
        found = evaluate_at({"policy": policy}, model, task, batches())
    return Evaluation.of(found["policy"], task.headline)


@contextmanager
def _measured_anew(
    model: QuantizedModel, policy: Policy | int, inputs: Callable[[], Iterator[Tensor]] | None
) -> Iterator[None]:
    """Recalibrate batch norms inside the ``with`` block; then statistics are as before."""
    if inputs is None:
        yield
        return
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        recalibrated_at(model, policy, inputs)
        yield
    finally:
        model.load_state_dict(kept)


def batches_of(
    dataset: OpenDataset, split: str, examples: int | None, batch_size: int = Task.batch_size
) -> Callable[[], Iterator[Batch]]:
    """Return what gives the batches of ``split``, at most ``examples`` of them evenly spread.

    Splits may be sorted by class: every k-th example is taken.
    """
    size = dataset.size(split)
    stride = 1 if examples is None else max(1, -(-size // examples))

    def give() -> Iterator[Batch]:
        seen = 0
        for batch in dataset.batches(split, batch_size):
            first, count = -seen % stride, len(batch.targets)
            seen += count
            if first < count:
                yield Batch(*(part[first::stride] for part in batch))

    return give


def recalibration_inputs(
    dataset: OpenDataset, run: RunSpec, batches: int
) -> Callable[[], Iterator[Tensor]]:
    """Return what gives the inputs of so many shuffled, augmented training batches of ``run``."""

    def give() -> Iterator[Tensor]:
        found = dataset.train_batches(
            run.training.batch_size, Stream("recalibration"), run.seed, skip=0
        )
        return (batch.inputs for batch in islice(found, batches))

    return give
