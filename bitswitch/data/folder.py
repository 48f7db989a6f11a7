"""The ImageNet pipeline: JPEG files in one folder per class, or packed, decoded one by one."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from bitswitch.contracts.data import Batch, OpenDataset
from bitswitch.contracts.streams import Stream
from bitswitch.data.crops import (
    MEAN,
    STD,
    Crops,
    FolderOptions,
    Key,
    Pictures,
    evaluation_crop,
    training_crop,
    training_transforms,
)
from bitswitch.data.loading import Examples, Loaders, Request
from bitswitch.data.packed.boxes import BoxedCrops
from bitswitch.data.packed.form import Original
from bitswitch.data.packed.shards import Shards
from bitswitch.data.pictures import read_picture
from bitswitch.data.pixels import Normalise
from bitswitch.errors import DatasetError
from bitswitch.runtime.devices import available_cpus
from bitswitch.runtime.randomness import generator

if TYPE_CHECKING:
    from PIL.Image import Image

WORKERS = "BITSWITCH_WORKERS"
"""Environment variable: processes that decode images. It changes no number."""
MOST_WORKERS = 12
IN_MEMORY_BYTES = 16 * 2**20
"""Folders up to this size are decoded once and kept; decoded images take some ten times more."""

Source = TypeVar("Source", bound=Pictures)


class Files(NamedTuple):
    """Image files of one split by class, then name; arrays, because worker processes share them."""

    root: Path
    names: np.ndarray[Any, Any]
    """Bytes [n], paths below ``root``."""
    targets: np.ndarray[Any, Any]
    """int64 [n]."""

    def take(self, chosen: np.ndarray[Any, Any]) -> "Files":
        """Return the files where ``chosen`` [n] is true, or those that it numbers."""
        return Files(self.root, self.names[chosen], self.targets[chosen])

    def path(self, index: int) -> Path:
        """Return the path of file ``index``."""
        return self.root / os.fsdecode(self.names[index])

    def size(self, limit: int) -> int:
        """Return the size of all files; stops counting beyond ``limit``."""
        total = 0
        for index in range(len(self.names)):
            total += self.path(index).stat().st_size
            if total > limit:
                break
        return total

    def picture(self, index: int, remedy: str) -> "Image":
        """Return picture ``index``, RGB; see ``read_picture``."""
        return read_picture(self.path(index), remedy)


STRAYS = frozenset(
    ("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "__MACOSX", "lost+found")
)
"""Folders that file managers, network drives and archivers leave behind."""


def is_stray(name: str) -> bool:
    """Return whether a file or folder of this name is no part of a dataset.

    >>> [is_stray(name) for name in ("n01440764", ".ipynb_checkpoints", "._0.JPEG", "@eaDir")]
    [False, True, True, True]
    """
    return name.startswith(".") or name in STRAYS


def list_files(root: Path, classes: Sequence[str]) -> Files:
    """Return the images in the folders ``classes`` of ``root``, which number them in that order.

    Raises:
        FileNotFoundError: a class has none.
    """
    from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

    def is_image(path: str) -> bool:
        inside = Path(path[len(str(root)) + 1 :]).parts
        return path.lower().endswith(IMG_EXTENSIONS) and not any(map(is_stray, inside))

    numbered = {name: number for number, name in enumerate(classes)}
    samples = make_dataset(str(root), numbered, is_valid_file=is_image)
    names = np.array([os.fsencode(os.path.relpath(path, root)) for path, _ in samples])
    return Files(root, names, np.array([target for _, target in samples], dtype=np.int64))


def carve(files: Source, per_class: int) -> tuple[Source, Source]:
    """Return ``files`` without, and only, the last ``per_class`` of each class by name."""
    ends = np.searchsorted(files.targets, files.targets, side="right")
    held_out = ends - np.arange(len(ends)) <= per_class
    return files.take(~held_out), files.take(held_out)


def training_examples(files: Pictures, options: FolderOptions, remedy: str) -> Examples:
    """Return random crops of ``files``; of packed pixels they are resized on the device."""
    if isinstance(files, Shards) and not isinstance(files.form, Original):
        return BoxedCrops(files, training_transforms(options), remedy)
    return Crops(files, training_crop(options), remedy)


class FolderData(OpenDataset):
    """Splits that lie in files; small ones are decoded when opened, others for each batch.

    Args:
        splits: Files, or packed pictures, of ``train``, ``held_out`` and ``test``.
        options: Crops.
        device: Where batches go.
        remedy: What to do about a damaged file.
    """

    def __init__(
        self,
        splits: Mapping[str, Pictures],
        options: FolderOptions,
        device: torch.device,
        remedy: str,
    ) -> None:
        other = evaluation_crop(options)
        self.splits: dict[str, Examples] = {
            name: training_examples(files, options, remedy)
            if name == "train"
            else Crops(files, other, remedy)
            for name, files in splits.items()
        }
        self.device, self.normalise = device, Normalise(MEAN, STD, device)
        self.workers = worker_count(device)
        if sum(files.size(IN_MEMORY_BYTES) for files in splits.values()) <= IN_MEMORY_BYTES:
            self.splits = {name: images.keep() for name, images in self.splits.items()}
            self.workers = 0
        self.loaders = Loaders(self.splits, self.workers, device.type == "cuda")

    def size(self, split: str) -> int:
        return len(self.splits[split])

    def train_batches(
        self, batch_size: int, stream: Stream, seed: int, skip: int
    ) -> Iterator[Batch]:
        yield from self.train_parts(batch_size, stream, seed, skip, slice(None))

    def train_parts(
        self, batch_size: int, stream: Stream, seed: int, skip: int, part: slice
    ) -> Iterator[Batch]:
        order = torch.randperm(self.size("train"), generator=generator("epoch", seed, stream.key))
        count = len(order) // batch_size
        whole = order[: count * batch_size].view(count, batch_size)
        yield from self._read("train", (seed, stream.key), whole[skip:, part])

    def batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        yield from self.some_batches(split, batch_size, slice(None))

    def some_batches(self, split: str, batch_size: int, some: slice) -> Iterator[Batch]:
        if self.size(split):
            batches = torch.split(torch.arange(self.size(split)), batch_size)
            yield from self._read(split, (), batches[some])

    def _read(self, split: str, key: Key, chosen: Iterable[Tensor]) -> Iterator[Batch]:
        requests = [Request(split, key, indices.tolist()) for indices in chosen]
        if not requests:
            return
        for batch in self.loaders.read(requests):
            pixels, targets, indices = batch.on(self.device)
            yield Batch(self.normalise(pixels), targets, indices)


def worker_count(device: torch.device) -> int:
    """Return how many processes decode images; ``BITSWITCH_WORKERS`` overrides the default.

    Raises:
        DatasetError: the variable is no number.
    """
    default = min(available_cpus(), MOST_WORKERS) if device.type == "cuda" else 0
    text = os.environ.get(WORKERS, str(default))
    if not text.isdecimal():
        raise DatasetError(f"The environment variable {WORKERS} must be a number, not '{text}'.")
    return int(text)
