"""Targets of a whole run: labels, smoothed labels, or labels mixed with earlier predictions."""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import one_hot, softmax

from bitswitch.contracts.data import Batch
from bitswitch.nn.losses import smoothed
from bitswitch.runtime import transfers
from bitswitch.runtime.ranks import ALONE, Ranks
from bitswitch.spec.training import TrainingSpec
from bitswitch.training.predictions import Predictions

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
    """Targets of one run, and what it remembers between epochs.

    Args:
        training: Recipe of the run.
        images: Of the training split.
        classes: Of the data.
        path: File of the predictions, if any are remembered; None: in memory alone.
        ranks: Of the run; the leading one remembers for all.
    """

    def __init__(
        self,
        training: TrainingSpec,
        images: int,
        classes: int,
        path: Path | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.training = training
        self.classes = classes
        self.ranks = ranks
        self._places = torch.empty(0, dtype=torch.int64)  # of the images of the last batch
        self.memory: Predictions | None = None
        """Of the widest bit-width; None: nothing is remembered here."""
        if self.remembers and ranks.leads:
            self.memory = Predictions(images, classes, path)

    @property
    def remembers(self) -> bool:
        """Whether predictions are kept for the next epoch."""
        return self.training.distillation == "ps-kd"

    def targets(self, batch: Batch, epoch: int) -> Tensor:
        """Return what all passes of a step learn: class indices [n], or soft ones [n, classes]."""
        smoothing = self.training.label_smoothing
        if not self.remembers:
            plain = smoothing == 0.0
            return batch.targets if plain else smoothed(batch.targets, self.classes, smoothing)
        previous = self._before(batch, epoch)
        return ps_kd_target(batch.targets, previous, ps_kd_weight(epoch, self.training.epochs))

    def _before(self, batch: Batch, epoch: int) -> Tensor:
        """Return what was said of the images of a batch before an epoch, [n, classes]."""
        places, device = self.ranks.joined(batch.indices), batch.targets.device
        if self.memory is None:
            whole = torch.empty(len(places), self.classes, device=device)
        else:
            self._places = transfers.to_cpu(places)
            whole = self.memory.before(self._places, epoch).to(device)
        self.ranks.broadcast([whole])
        return whole[self.ranks.part(len(whole))]

    def remember(self, logits: Tensor, epoch: int) -> None:
        """Keep what the widest bit-width said [n, classes] for the next epoch.

        Args:
            logits: Of the batch whose ``targets`` were asked for last.
            epoch: Present one, 0-based.
        """
        if self.remembers:
            said = self.ranks.joined(softmax(logits, dim=1))
            if self.memory is not None:
                self.memory.keep(self._places, epoch, transfers.to_cpu(said))

    def sync(self) -> int:
        """Bring what is remembered onto the disk; return how many predictions that are."""
        return 0 if self.memory is None else self.memory.sync()

    def check(self, count: int) -> None:
        """Compare what is remembered with what a checkpoint counts.

        Raises:
            CheckpointError: some is missing.
        """
        if self.memory is not None:
            self.memory.check(count)
