"""Whole datasets as one tensor on the training device."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from bitswitch.contracts.data import Batch, OpenDataset
from bitswitch.contracts.streams import Stream
from bitswitch.data.pixels import Channels, Normalise
from bitswitch.runtime.randomness import generator


class Split(NamedTuple):
    """Images and classes of one split."""

    images: Tensor
    """uint8 [n, height, width, 3]."""
    targets: Tensor
    """int64 [n]."""


class Transform(NamedTuple):
    """How stored images become what the network sees."""

    mean: Channels
    """Subtracted from each channel, in units of full brightness."""
    std: Channels
    """Divides each channel."""
    padding: int
    """Training images are padded by so many black pixels on each side and cropped at random."""
    flip: bool
    """Whether training images are mirrored at random."""


class InMemory(OpenDataset):
    """Splits that lie on ``device`` as bytes; augmentation is vectorised.

    Order, crops and flips of an epoch are drawn on the CPU, all at once, from seed and epoch: they
    are the same on every device and wherever an epoch is resumed.
    """

    def __init__(self, splits: Mapping[str, Split], look: Transform, device: torch.device) -> None:
        self.splits = {
            name: Split(split.images.to(device), split.targets.to(device))
            for name, split in splits.items()
        }
        self.look, self.device = look, device
        self._normalise = Normalise(look.mean, look.std, device)
        train, border = self.splits["train"].images, look.padding
        sides = (0, 0, border, border, border, border)
        self._padded = torch.nn.functional.pad(train, sides)

    def size(self, split: str) -> int:
        return len(self.splits[split].targets)

    def train_batches(
        self, batch_size: int, stream: Stream, seed: int, skip: int
    ) -> Iterator[Batch]:
        draw = generator("epoch", seed, stream.key)
        count = self.size("train")
        order = torch.randperm(count, generator=draw)
        reach = 2 * self.look.padding + 1
        corners = torch.randint(reach, (2, count), generator=draw)
        mirrored = torch.rand(count, generator=draw) < (0.5 if self.look.flip else 0.0)
        order, corners, mirrored = (part.to(self.device) for part in (order, corners, mirrored))
        for start in range(skip * batch_size, count - batch_size + 1, batch_size):
            part = slice(start, start + batch_size)
            images = self._crop(order[part], corners[:, part], mirrored[part])
            targets = self.splits["train"].targets[order[part]]
            yield Batch(self._normalise(_channels_first(images)), targets, order[part])

    def batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        images, targets = self.splits[split]
        indices = torch.arange(len(targets), device=self.device)
        for start in range(0, len(targets), batch_size):
            part = slice(start, start + batch_size)
            yield Batch(
                self._normalise(_channels_first(images[part])), targets[part], indices[part]
            )

    def _crop(self, indices: Tensor, corners: Tensor, mirrored: Tensor) -> Tensor:
        """Return windows [b, height, width, 3]; ``corners`` [2, b] are tops and lefts."""
        height, width = self.splits["train"].images.shape[1:3]
        rows = corners[0, :, None] + torch.arange(height, device=self.device)
        columns = torch.arange(width, device=self.device).expand(len(indices), -1)
        columns = torch.where(mirrored[:, None], columns.flip(1), columns) + corners[1, :, None]
        return self._padded[indices[:, None, None], rows[:, :, None], columns[:, None, :]]


def _channels_first(images: Tensor) -> Tensor:
    return images.permute(0, 3, 1, 2).contiguous()
