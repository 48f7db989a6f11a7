"""Two parts of the training images that never meet, each in full batches."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from bitswitch.contracts.data import Batch
from bitswitch.runtime import transfers

_FACTOR, _BITS = 2654435761, 32
"""Knuth's multiplicative hash."""


class HashSplit:
    """Takes a share of the images apart, the same images in every epoch.

    Which ones is decided by a hash of their position: a split may be sorted by class, or have its
    classes in turn.

    Args:
        share: Of the images, in [0, 1], that are taken apart.
        salt: Makes another choice.
    """

    def __init__(self, share: float, salt: int) -> None:
        self.share = share
        self.salt = salt
        self._waiting: dict[bool, list[Batch]] = {False: [], True: []}

    def is_share(self, indices: Tensor) -> Tensor:
        """Return which of the images at ``indices`` [n] are taken apart, bool [n]."""
        low = (1 << _BITS) - 1
        mixed = ((indices ^ self.salt) & low) * _FACTOR & low
        mixed = (mixed ^ (mixed >> 15)) * _FACTOR & low
        return mixed < self.share * (1 << _BITS)

    def parted(self, batches: Iterable[Batch]) -> Iterator[tuple[bool, Batch]]:
        """Yield batches of either part, as large as those of ``batches``.

        What is left at the end waits for the next call.

        Args:
            batches: Shuffled, all of one size.

        Yields:
            Whether these images are those taken apart, and the images.
        """
        for batch in batches:
            size, chosen = len(batch.targets), transfers.to_host(self.is_share(batch.indices))
            for is_share, waiting in self._waiting.items():
                places = [place for place, taken in enumerate(chosen) if taken == is_share]
                rows = torch.tensor(places, dtype=torch.int64, device=batch.indices.device)
                waiting.append(Batch(*(part[rows] for part in batch)))
                if sum(len(one.targets) for one in waiting) >= size:
                    whole = Batch(*(torch.cat(parts) for parts in zip(*waiting, strict=True)))
                    waiting[:] = [Batch(*(part[size:] for part in whole))]
                    yield is_share, Batch(*(part[:size] for part in whole))
