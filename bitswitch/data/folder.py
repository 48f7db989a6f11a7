"""The ImageNet pipeline: JPEG files in one folder per class, decoded and cropped one by one.

Everything random about a training image depends on (seed, epoch, index) alone, not on the process
that decodes it or on what was decoded before.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bitswitch.contracts.data import Batch, OpenDataset
from bitswitch.contracts.streams import Stream
from bitswitch.data.pictures import read_picture
from bitswitch.data.pixels import Normalise
from bitswitch.errors import DatasetError
from bitswitch.runtime.devices import available_cpus
from bitswitch.runtime.randomness import generator, seeded
from bitswitch.types import Strict

if TYPE_CHECKING:
    from PIL.Image import Image

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Statistics of ImageNet's training images that all published weights expect (torchvision)."""
WORKERS = "BITSWITCH_WORKERS"
"""Environment variable: processes that decode images. It changes no number."""
MOST_WORKERS = 12
IN_MEMORY_BYTES = 16 * 2**20
"""Folders up to this size are decoded once and kept; decoded images take some ten times more."""


Crop = Callable[["Image"], Tensor]
"""Makes uint8 [3, crop, crop] of an image of any size."""


class FolderOptions(Strict):
    """Crops of the pipeline; defaults are those of the published ImageNet results."""

    crop: Annotated[int, Field(ge=8)] = 224
    """Height and width that the network sees."""
    resize: Annotated[int, Field(ge=8)] = 256
    """Length of the shorter side before the centre crop of evaluation."""
    smallest_area: Annotated[float, Field(gt=0, le=1)] = 0.08
    """Smallest share of the area that a random training crop covers."""
    flip: bool = True
    """Whether training images are mirrored at random."""


class Files(NamedTuple):
    """Image files of one split by class, then name; arrays, because worker processes share them."""

    root: Path
    names: np.ndarray[Any, Any]
    """Bytes [n], paths below ``root``."""
    targets: np.ndarray[Any, Any]
    """int64 [n]."""

    def take(self, chosen: np.ndarray[Any, Any]) -> "Files":
        """Return the files where ``chosen`` [n] is true."""
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


def carve(files: Files, per_class: int) -> tuple[Files, Files]:
    """Return ``files`` without, and only, the last ``per_class`` of each class by name."""
    ends = np.searchsorted(files.targets, files.targets, side="right")
    held_out = ends - np.arange(len(ends)) <= per_class
    return files.take(~held_out), files.take(held_out)


@dataclass(frozen=True)
class Crops(torch.utils.data.Dataset[tuple[Tensor, int, int]]):
    """Cropped images of one split: item i is (uint8 [3, crop, crop], class, i)."""

    files: Files
    transform: Crop
    remedy: str
    kept: "Sequence[Image] | None" = None
    """All images, decoded; None: decode each time."""
    random_key: tuple[int, ...] = ()
    """Seed and key of the stream, for the random crops."""

    def __len__(self) -> int:
        return len(self.files.names)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        image = self.kept[index] if self.kept else read_picture(self.files.path(index), self.remedy)
        with seeded("image", *self.random_key, index):
            return self.transform(image), int(self.files.targets[index]), index

    def keep(self) -> "Crops":
        """Return the same with every image decoded once and for all."""
        paths = (self.files.path(index) for index in range(len(self)))
        return replace(self, kept=[read_picture(path, self.remedy) for path in paths])


def training_crop(options: FolderOptions) -> Crop:
    """Return the random crop and mirroring of a training image."""
    from torchvision.transforms import v2

    crop: Crop = v2.Compose(
        [
            v2.RandomResizedCrop(options.crop, scale=(options.smallest_area, 1.0)),
            v2.RandomHorizontalFlip(0.5 if options.flip else 0.0),
            v2.PILToTensor(),
        ]
    )
    return crop


def evaluation_crop(options: FolderOptions) -> Crop:
    """Return the resize and centre crop of an image that is not trained on."""
    from torchvision.transforms import v2

    steps = [v2.Resize(options.resize), v2.CenterCrop(options.crop), v2.PILToTensor()]
    crop: Crop = v2.Compose(steps)
    return crop


def cropped(image: "Image", options: FolderOptions) -> Tensor:
    """Return a picture as evaluation sees it, normalised, float32 [3, crop, crop]."""
    pixels = evaluation_crop(options)(image)
    return Normalise(MEAN, STD, torch.device("cpu"))(pixels[None])[0]


class FolderData(OpenDataset):
    """Splits that lie in files; small ones are decoded when opened, others for each batch.

    Args:
        splits: Files of ``train``, ``held_out`` and ``test``.
        options: Crops.
        device: Where batches go.
        remedy: What to do about a damaged file.
    """

    def __init__(
        self, splits: Mapping[str, Files], options: FolderOptions, device: torch.device, remedy: str
    ) -> None:
        train, other = training_crop(options), evaluation_crop(options)
        self.splits = {
            name: Crops(files, train if name == "train" else other, remedy)
            for name, files in splits.items()
        }
        self.device, self.normalise = device, Normalise(MEAN, STD, device)
        self.workers = worker_count(device)
        if sum(files.size(IN_MEMORY_BYTES) for files in splits.values()) <= IN_MEMORY_BYTES:
            self.splits = {name: images.keep() for name, images in self.splits.items()}
            self.workers = 0

    def size(self, split: str) -> int:
        return len(self.splits[split])

    def train_batches(
        self, batch_size: int, stream: Stream, seed: int, skip: int
    ) -> Iterator[Batch]:
        images = replace(self.splits["train"], random_key=(seed, stream.key))
        order = torch.randperm(len(images), generator=generator("epoch", seed, stream.key))
        whole = order[: len(order) // batch_size * batch_size]
        yield from self._load(images, whole[skip * batch_size :], batch_size)

    def batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        images = self.splits[split]
        yield from self._load(images, torch.arange(len(images)), batch_size)

    def _load(self, images: Crops, order: Tensor, batch_size: int) -> Iterator[Batch]:
        loader = torch.utils.data.DataLoader(
            images,
            batch_size,
            sampler=order.tolist(),
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # or the loader advances the global one
        )
        try:
            for batch in loader:
                pixels, targets, indices = (x.to(self.device, non_blocking=True) for x in batch)
                yield Batch(self.normalise(pixels), targets, indices)
        except DatasetError as error:  # a worker process wraps it in its traceback
            text = str(error).rpartition("DatasetError: ")[2].rstrip()
            raise DatasetError(text) from None


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
