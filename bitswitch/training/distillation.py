"""Soft targets: what a bit-width learns from besides the labels."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot, softmax

from bitswitch.contracts import Batch, Pass
from bitswitch.spec import TrainingSpec

PS_KD_WEIGHT = 0.7
"""alpha_T: share of the soft target in the last epoch; code of huang2025nearly."""


def neighbour_loss(logits: Tensor, targets: Tensor, teacher: Tensor, weight: float) -> Tensor:
    """Return the mean cross-entropy to the labels and to a teacher of the same step.

    Args:
        logits: [n, classes].
        targets: Class indices [n].
        teacher: Detached probabilities [n, classes] of the pass above.
        weight: Share of the soft target, 0 to 1.

    Source: huang2025nearly, section 3 (each bit-width teaches its neighbour below).
    """
    soft = cross_entropy(logits, teacher)
    return soft if weight == 1.0 else weight * soft + (1 - weight) * cross_entropy(logits, targets)


def ps_kd_weight(epoch: int, epochs: int) -> float:
    """Return alpha_t of a 0-based ``epoch``.

    Source: kim2021selfknowledge (PS-KD), with alpha_T as in the code of huang2025nearly.
    """
    return PS_KD_WEIGHT * (epoch + 1) / epochs


def ps_kd_target(targets: Tensor, previous: Tensor, weight: float) -> Tensor:
    """Return (1 - weight) * one-hot + weight * previous prediction.

    Args:
        targets: Class indices [n].
        previous: Probabilities [n, classes] from the epoch before; a row of zeros where there is
            none, which leaves the label alone.
        weight: alpha_t.

    Source: kim2021selfknowledge (PS-KD).
    """
    share = weight * previous.sum(1, keepdim=True).clamp(max=1.0).round()
    return (1 - share) * one_hot(targets, previous.shape[1]) + share * previous


class Distillation:
    """Losses of one run's passes, and what they remember between epochs."""

    def __init__(
        self, training: TrainingSpec, images: int, classes: int, device: torch.device
    ) -> None:
        """Start without a memory of ``images`` training images in ``classes`` classes."""
        self.training = training
        remembers = training.distillation == "ps-kd"
        self.memory = torch.zeros((images, classes) if remembers else (0, 0), device=device)
        """Last prediction of the widest bit-width, probabilities [images, classes]."""

    def targets(self, batch: Batch, epoch: int) -> Tensor:
        """Return what all passes of a step learn: class indices [n], or soft ones [n, classes]."""
        if self.training.distillation != "ps-kd":
            return batch.targets
        weight = ps_kd_weight(epoch, self.training.epochs)
        return ps_kd_target(batch.targets, self.memory[batch.indices], weight)

    def loss(
        self, logits: Tensor, targets: Tensor, part: Pass, predictions: Mapping[int, Tensor]
    ) -> Tensor:
        """Return the mean loss of one pass.

        Args:
            logits: [n, classes].
            targets: See ``targets``.
            part: The pass.
            predictions: Detached probabilities of the step's earlier passes, by bit-width.
        """
        if part.teacher is None:
            return cross_entropy(logits, targets)
        teacher = predictions[part.teacher]
        return neighbour_loss(logits, targets, teacher, self.training.distillation_weight)

    def remember(self, batch: Batch, predictions: Mapping[int, Tensor]) -> None:
        """Keep what the widest bit-width said of ``batch`` for the next epoch."""
        if len(self.memory):
            self.memory[batch.indices] = predictions[max(predictions)]


def probabilities(logits: Tensor) -> Tensor:
    """Return the detached softmax of ``logits`` [n, classes]."""
    return softmax(logits.detach(), dim=1)
