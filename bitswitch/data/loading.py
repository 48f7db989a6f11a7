"""Processes that read batches ahead, and go on living from one epoch to the next."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch

from bitswitch.data.crops import Crops, Key, Pixels
from bitswitch.data.packed.boxes import BoxedCrops, Boxes
from bitswitch.errors import DatasetError

Examples = Crops | BoxedCrops
"""Of one split."""


class Request(NamedTuple):
    """Which batch is wanted."""

    split: str
    key: Key
    indices: list[int]


class Splits(torch.utils.data.Dataset[Pixels | Boxes | DatasetError]):
    """What processes read from: item ``Request`` is a batch, or what is wrong with its images.

    An error that is raised in a worker process arrives as the text of a traceback.
    """

    def __init__(self, splits: Mapping[str, Examples]) -> None:
        self.splits = splits

    def __getitem__(self, request: Request) -> Pixels | Boxes | DatasetError:
        try:
            return self.splits[request.split].batch(request.indices, request.key)
        except DatasetError as error:
            return error


Loader = torch.utils.data.DataLoader[Pixels | Boxes | DatasetError]


class Loaders:
    """Loaders of batches; each serves one reader at a time, and the next one when it is free.

    An epoch of training is read while an evaluation is: then there are two loaders, whose processes
    stay. Which process reads a batch decides nothing about it.

    Args:
        splits: By name.
        workers: Processes of each loader; 0: batches are read here.
        pinned: Whether batches lie in memory that a GPU reads by itself.
    """

    def __init__(self, splits: Mapping[str, Examples], workers: int, pinned: bool) -> None:
        self.splits, self.workers, self.pinned = Splits(splits), workers, pinned
        self.free: list[Loader] = []

    def read(self, requests: Sequence[Request]) -> Iterator[Pixels | Boxes]:
        """Yield the batches of ``requests``.

        Raises:
            DatasetError: an image cannot be read.
        """
        loader = self.free.pop() if self.free else self._new()
        _requests(loader)[:] = requests
        try:
            for batch in loader:
                if isinstance(batch, DatasetError):
                    raise DatasetError(str(batch))
                yield batch
        finally:  # it drops by itself what nobody has taken
            self.free.append(loader)

    def _new(self) -> Loader:
        return torch.utils.data.DataLoader(
            self.splits,
            batch_size=None,
            sampler=[],
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=self.pinned,
            generator=torch.Generator(),  # or the loader advances the global one
        )


def _requests(loader: Loader) -> list[Request]:
    """Return the list that ``loader`` takes its requests from when it is iterated anew."""
    requests: list[Request] = loader.sampler  # type: ignore[assignment]
    return requests
