"""Targets of a whole run: labels, smoothed labels, or labels mixed with earlier predictions."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot, softmax

from bitswitch.contracts import Batch
from bitswitch.nn.losses import smoothed
from bitswitch.spec import TrainingSpec

PS_KD_WEIGHT = 0.7
"""alpha_T: share of the soft target in the last epoch; code of huang2025nearly."""


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
    """Targets of one run, and what it remembers between epochs."""

    def __init__(
        self, training: TrainingSpec, images: int, classes: int, device: torch.device
    ) -> None:
        """Start without a memory of ``images`` training images in ``classes`` classes."""
        self.training = training
        self.classes = classes
        remembers = training.distillation == "ps-kd"
        self.memory = torch.zeros((images, classes) if remembers else (0, 0), device=device)
        """Last prediction of the widest bit-width, probabilities [images, classes]."""

    def targets(self, batch: Batch, epoch: int) -> Tensor:
        """Return what all passes of a step learn: class indices [n], or soft ones [n, classes]."""
        smoothing = self.training.label_smoothing
        if self.training.distillation != "ps-kd":
            plain = smoothing == 0.0
            return batch.targets if plain else smoothed(batch.targets, self.classes, smoothing)
        weight = ps_kd_weight(epoch, self.training.epochs)
        return ps_kd_target(batch.targets, self.memory[batch.indices], weight)

    def remember(self, batch: Batch, logits: Tensor) -> None:
        """Keep what the widest bit-width said of ``batch`` [n, classes] for the next epoch."""
        if len(self.memory):
            self.memory[batch.indices] = softmax(logits, dim=1)
