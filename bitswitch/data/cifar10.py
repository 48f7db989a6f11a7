"""``cifar10``: 60 000 small photographs in ten classes, downloaded on demand."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor

from bitswitch.contracts.data import Batch, Dataset, OpenDataset
from bitswitch.data.files import advise, prepare_again
from bitswitch.data.memory import InMemory, Split, Transform
from bitswitch.data.pixels import noise, scaled
from bitswitch.tasks.classification import Classification
from bitswitch.types import Strict

if TYPE_CHECKING:
    from PIL.Image import Image

CLASSES = 10
COUNTS = {"train": 50_000, "test": 10_000}
LOOK = Transform(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616), padding=4, flip=True)
"""Mean and standard deviation over all pixels of the 50 000 training images, rounded to four
digits; ``check`` prints what it measures. (The often copied std 0.2023, 0.1994, 0.2010 is another
quantity: the mean of the standard deviations of single images.) Crop and flip: he2016deep, 4.2.
"""
REMEDY = prepare_again("cifar10")


class Cifar10(Dataset):
    """CIFAR-10, whole on the training device; padded, cropped and mirrored at random to train."""

    source = "krizhevsky2009learning"
    task = Classification()
    outputs = CLASSES
    stamp = "CIFAR-10"

    class Options(Strict):
        """What is held out."""

        held_out: Annotated[int, Field(ge=CLASSES, multiple_of=CLASSES, le=25_000)] = 1000
        """Training images not trained on: the last of each class in the files' order."""

    options: Options

    def example(self, count: int, generator: torch.Generator) -> Batch:
        return noise(count, 32, self.outputs, generator)

    def sizes(self) -> dict[str, int]:
        held_out = self.options.held_out
        return {
            "train": COUNTS["train"] - held_out,
            "held_out": held_out,
            "test": COUNTS["test"],
        }

    def folder(self, root: Path) -> Path:
        """Return the folder below ``root`` that holds the files."""
        return root / "cifar10"

    def prepare(self, root: Path) -> None:
        from torchvision.datasets import CIFAR10
        from torchvision.datasets.utils import check_integrity

        folder = self.folder(root)
        if not any(_damaged(folder)):
            return
        archive = folder / CIFAR10.filename
        broken = archive.exists() and not check_integrity(archive, CIFAR10.tgz_md5)
        size = archive.stat().st_size if broken else 0
        try:
            CIFAR10(folder, download=True)
        except (OSError, RuntimeError) as error:
            remedy = f"fetch {CIFAR10.url} by other means into this folder and {REMEDY}"
            problem = f"Cannot download CIFAR-10 ({error})"
            if broken:
                problem = f"{archive.name} is damaged (MD5 of its {size} bytes differs). {problem}"
            raise advise(problem, folder, remedy) from error

    def check(self, root: Path) -> dict[str, str]:
        images, targets = self._read(root, train=True)
        pixels = images.double().div(255).flatten(0, 2)
        return {
            "folder": str(self.folder(root)),
            "train": str(len(targets)),
            "test": str(len(self._read(root, train=False).targets)),
            "mean": str([round(x, 4) for x in pixels.mean(0).tolist()]),
            "std": str([round(x, 4) for x in pixels.std(0).tolist()]),
        }

    def network_input(self, image: "Image") -> Tensor:
        return scaled(image, 32, LOOK.mean, LOOK.std)

    def open(self, root: Path, device: torch.device) -> OpenDataset:
        images, targets = self._read(root, train=True)
        held_out = _last_of_each_class(targets, self.options.held_out // CLASSES)
        splits = {
            "train": Split(images[~held_out], targets[~held_out]),
            "held_out": Split(images[held_out], targets[held_out]),
            "test": self._read(root, train=False),
        }
        return InMemory(splits, LOOK, device)

    def _read(self, root: Path, train: bool) -> Split:
        """Return all images of one of the two published parts; every file's MD5 is verified."""
        from torchvision.datasets import CIFAR10

        folder = self.folder(root)
        try:
            part = CIFAR10(folder, train=train)
        except RuntimeError as error:  # it does not say which file
            path = next(_damaged(folder), folder)
            problem = "Damaged data (MD5 differs)" if path.exists() else "Data not found"
            raise advise(problem, path, REMEDY) from error
        return Split(torch.from_numpy(part.data).contiguous(), torch.tensor(part.targets))


def _damaged(folder: Path) -> Iterator[Path]:
    """Yield the files of CIFAR-10 that are missing or not the published ones."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    meta = (CIFAR10.meta["filename"], CIFAR10.meta["md5"])
    for name, md5 in (*CIFAR10.train_list, *CIFAR10.test_list, meta):
        path = folder / CIFAR10.base_folder / name
        if not check_integrity(path, md5):
            yield path


def _last_of_each_class(targets: Tensor, count: int) -> Tensor:
    """Return a mask [n] of the last ``count`` positions of each class."""
    mask = torch.zeros(len(targets), dtype=torch.bool)
    for label in range(CLASSES):
        mask[(targets == label).nonzero().flatten()[-count:]] = True
    return mask
