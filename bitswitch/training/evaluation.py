"""Loss and accuracy of a model on one split."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bitswitch.contracts.data import OpenDataset
from bitswitch.nn.model import QuantizedModel
from bitswitch.runtime import transfers

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
    sums = {bits: Sums(next(model.parameters()).device) for bits in model.bitset}
    for batch in dataset.batches(split, BATCH_SIZE):
        check()
        for bits, counted in sums.items():
            model.switch(bits)
            counted.add(model(batch.inputs), batch.targets)
    return {bits: Score(*counted.means()) for bits, counted in sums.items()}


class Sums:
    """Hits and losses, added up on the device.

    Args:
        device: Of the logits.
    """

    def __init__(self, device: torch.device) -> None:
        self.images = 0
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)

    def add(self, logits: Tensor, targets: Tensor) -> None:
        """Count images by their logits [n, classes] and class indices [n]."""
        hits = (logits.argmax(1) == targets).sum()
        self._sums += torch.stack([hits, cross_entropy(logits, targets, reduction="sum")])
        self.images += len(targets)

    def means(self) -> tuple[float, float]:
        """Return accuracy in percent and mean cross-entropy in nats."""
        hits, loss = transfers.to_host(self._sums)
        return 100 * hits / self.images, loss / self.images
