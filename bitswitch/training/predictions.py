"""What a network said of every training image in the epoch before, for targets of PS-KD."""

import os
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from bitswitch.errors import CheckpointError
from bitswitch.results.files import writing
from bitswitch.training import checkpoint

NAME = "predictions.bin"


class Predictions:
    """The last two predictions of every image, each with its epoch.

    What an epoch says replaces the older one: the prediction that the epoch has read stays, and is
    read again where a run goes on from a checkpoint in the middle of an epoch. A file is mapped
    into memory and takes 8 bytes per image and class: 10.3 GB for ImageNet, none on the device.

    Args:
        images: Of the training split.
        classes: Of the data.
        path: The file, which is made where there is none; None: in memory alone.

    Raises:
        CheckpointError: a file of another size.
        RunDirectoryError: there is no room for the file.
    """

    def __init__(self, images: int, classes: int, path: Path | None = None) -> None:
        shape = (images, 2, classes + 1)
        self._path = path
        self._rows = torch.zeros(shape) if path is None else _mapped(path, prod(shape)).view(shape)
        """Probabilities, then the number of the epoch that they are of, from 1; 0: none yet."""

    def before(self, indices: Tensor, epoch: int) -> Tensor:
        """Return the last predictions before a 0-based ``epoch`` [n, classes]; zeros: none."""
        return self._rows[indices, self._latest(indices, epoch), :-1]

    def keep(self, indices: Tensor, epoch: int, probabilities: Tensor) -> None:
        """Keep what ``epoch`` says of images [n]: probabilities [n, classes]."""
        older = 1 - self._latest(indices, epoch)
        self._rows[indices, older, :-1] = probabilities
        self._rows[indices, older, -1] = epoch + 1.0

    def _latest(self, indices: Tensor, epoch: int) -> Tensor:
        """Return which of the two predictions is the last one before ``epoch``, [n]."""
        epochs = self._rows[indices, :, -1]
        return torch.where(epochs <= epoch, epochs, -1.0).argmax(1)

    def sync(self) -> int:
        """Bring all onto the disk; return how many predictions there are."""
        if self._path is not None:
            with writing(self._path), self._path.open("rb") as file:
                os.fsync(file.fileno())
        return int(self._rows[..., -1].count_nonzero())

    def check(self, count: int) -> None:
        """Compare with what a checkpoint counts.

        Raises:
            CheckpointError: there are fewer than ``count`` predictions.
        """
        found = int(self._rows[..., -1].count_nonzero())
        if self._path is not None and found < count:
            raise CheckpointError(
                f"{self._path} holds {found} predictions where the checkpoint counts {count}: it "
                f"was deleted or damaged.\n{_start_over(self._path)}"
            )


def _mapped(path: Path, values: int) -> Tensor:
    """Return the float32 ``values`` of a file; a new one is zeros, with room on the disk."""
    size = 4 * values
    with writing(path):
        if not path.exists():
            with path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, size)
        found = path.stat().st_size
    if found != size:
        raise CheckpointError(
            f"{path} has {found} bytes instead of {size}: it is damaged, or of other data.\n"
            f"{_start_over(path)}"
        )
    return torch.from_file(str(path), shared=True, size=values, dtype=torch.float32)


def _start_over(path: Path) -> str:
    return checkpoint.start_over(path.with_name(checkpoint.NAME))
