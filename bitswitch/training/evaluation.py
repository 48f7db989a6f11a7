"""Loss and accuracy of a model on one split."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn.functional import cross_entropy

from bitswitch.contracts import OpenDataset
from bitswitch.nn.model import QuantizedModel

BATCH_SIZE = 256


class Score(NamedTuple):
    """How good a model is."""

    top1: float
    """Percent."""
    loss: float
    """Mean cross-entropy in nats."""


@torch.no_grad()
def evaluate(
    model: QuantizedModel, dataset: OpenDataset, split: str, check: Callable[[], None]
) -> dict[int, Score]:
    """Return the scores of every bit-width of ``model`` on ``split``, each image counted once.

    Args:
        model: Is left in evaluation mode.
        dataset: On the device of ``model``.
        split: ``held_out`` or ``test``.
        check: Called between batches; may raise to stop.
    """
    model.eval()
    sums = {bits: (0, 0.0) for bits in model.bitset}
    for batch in dataset.batches(split, BATCH_SIZE):
        check()
        for bits, (correct, loss) in sums.items():
            model.switch(bits)
            logits = model(batch.images)
            hits = (logits.argmax(1) == batch.targets).sum()
            sent = torch.stack([hits, cross_entropy(logits, batch.targets, reduction="sum")])
            new_hits, new_loss = sent.tolist()
            sums[bits] = correct + int(new_hits), loss + new_loss
    count = dataset.size(split)
    return {
        bits: Score(100 * correct / count, loss / count) for bits, (correct, loss) in sums.items()
    }
