"""Accuracy of single policies of a trained network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bitswitch.contracts import Batch, Evaluation, OpenDataset
from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.recalibration import recalibrated_at
from bitswitch.spec import RunSpec
from bitswitch.types import Policy

BATCH_SIZE = 256
RECALIBRATION_EPOCH = -4
"""Gives the batches of recalibration an order of their own."""


@torch.no_grad()
def evaluate_policy(
    model: QuantizedModel,
    policy: Policy | int,
    batches: Callable[[], Iterator[Batch]],
    recalibration: Callable[[], Iterator[Tensor]] | None = None,
) -> Evaluation:
    """Return how good ``policy`` is, each image counted once.

    Args:
        model: Is left in evaluation mode, its statistics as they are.
        policy: To switch to.
        batches: Images to test on.
        recalibration: Images that batch norms see before, at this policy; None: they stay.
    """
    model.eval()
    correct, loss, count = 0, 0.0, 0
    with model.at(policy), _measured_anew(model, policy, recalibration):
        for batch in batches():
            logits = model(batch.images)
            hits = (logits.argmax(1) == batch.targets).sum()
            sent = torch.stack([hits, cross_entropy(logits, batch.targets, reduction="sum")])
            new_hits, new_loss = sent.tolist()
            correct, loss = correct + int(new_hits), loss + new_loss
            count += len(batch.targets)
    return Evaluation(100 * correct / count, loss / count)


@contextmanager
def _measured_anew(
    model: QuantizedModel, policy: Policy | int, images: Callable[[], Iterator[Tensor]] | None
) -> Iterator[None]:
    """Recalibrate batch norms inside the ``with`` block; then statistics are as before."""
    if images is None:
        yield
        return
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        recalibrated_at(model, policy, images)
        yield
    finally:
        model.load_state_dict(kept)


def batches_of(
    dataset: OpenDataset, split: str, images: int | None
) -> Callable[[], Iterator[Batch]]:
    """Return what gives the batches of ``split``, at most ``images`` of them evenly spread.

    Splits may be sorted by class: every k-th image is taken.
    """
    size = dataset.size(split)
    stride = 1 if images is None else max(1, -(-size // images))

    def give() -> Iterator[Batch]:
        for batch in dataset.batches(split, BATCH_SIZE):
            kept = batch.indices % stride == 0
            if stride == 1:
                yield batch
            elif kept.any():
                yield Batch(*(part[kept] for part in batch))

    return give


def recalibration_images(
    dataset: OpenDataset, run: RunSpec, batches: int
) -> Callable[[], Iterator[Tensor]]:
    """Return what gives the images of so many shuffled, augmented training batches of ``run``."""

    def give() -> Iterator[Tensor]:
        found = dataset.train_batches(
            run.training.batch_size, RECALIBRATION_EPOCH, run.seed, skip=0
        )
        return (batch.images for batch in islice(found, batches))

    return give
