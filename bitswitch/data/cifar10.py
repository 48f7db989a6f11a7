"""``cifar10``: 60 000 small photographs in ten classes, downloaded on demand."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from bitswitch.contracts.data import Batch, Dataset, OpenDataset
from bitswitch.data.files import advise, made_up, prepare_again
from bitswitch.data.made_up import REMEDY as MAKE_UP
from bitswitch.data.made_up import Few, below
from bitswitch.data.memory import InMemory, Split, Transform
from bitswitch.data.pixels import noise, scaled
from bitswitch.tasks.classification import Classification
from bitswitch.types import Strict

if TYPE_CHECKING:
    from PIL.Image import Image

CLASSES = 10
COUNTS = {"train": 50_000, "test": 10_000}
TRAIN_FILES = 5
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

    class Options(Strict):
        """What is held out, and whether it is CIFAR-10 at all."""

        held_out: Annotated[int, Field(ge=CLASSES, multiple_of=CLASSES, le=25_000)] = 1000
        """Training images not trained on: the last of each class in the files' order. Of made-up
        ones, the same share, and one of each class at least."""
        made_up: Annotated[Few | None, Field(exclude_if=lambda few: few is None)] = None
        """Noise in place of the images, in files called as the published ones: to try out a
        machine."""

        @model_validator(mode="after")
        def _classes_are_known(self) -> Self:
            if self.made_up and self.made_up.classes > CLASSES:
                raise ValueError(f"made_up.classes: CIFAR-10 has {CLASSES}")
            return self

    options: Options

    @property
    def outputs(self) -> int:  # type: ignore[override]
        """How many classes there are."""
        few = self.options.made_up
        return few.classes if few else CLASSES

    @property
    def is_noise(self) -> bool:  # type: ignore[override]
        """Whether the images are made up."""
        return self.options.made_up is not None

    @property
    def stamp(self) -> str:  # type: ignore[override]
        """What tables say of the data."""
        return "noise in place of CIFAR-10" if self.options.made_up else "CIFAR-10"

    @property
    def remedy(self) -> str:
        """What to do about missing or damaged files."""
        return MAKE_UP if self.options.made_up else REMEDY

    def example(self, count: int, generator: torch.Generator) -> Batch:
        return noise(count, 32, self.outputs, generator)

    def sizes(self) -> dict[str, int]:
        train, test = self._counts()
        held_out = self._held_out_of_each_class() * self.outputs
        return {"train": train - held_out, "held_out": held_out, "test": test}

    def _counts(self) -> tuple[int, int]:
        """Return how many images the training files have, and the test file."""
        few = self.options.made_up
        if few is None:
            return COUNTS["train"], COUNTS["test"]
        one_file = few.classes * few.per_class
        return TRAIN_FILES * one_file, one_file

    def _held_out_of_each_class(self) -> int:
        train = self._counts()[0]
        return max(self.options.held_out * train // COUNTS["train"] // self.outputs, 1)

    def folder(self, root: Path) -> Path:
        """Return the folder below ``root`` that holds the files."""
        return below(root, self.options.made_up is not None) / "cifar10"

    def prepare(self, root: Path) -> None:
        from torchvision.datasets import CIFAR10
        from torchvision.datasets.utils import check_integrity

        folder = self.folder(root)
        if self.options.made_up:
            self._read(root, train=True)
            return
        if not any(_damaged(CIFAR10, folder)):
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
            **made_up(self.folder(root)),
            "train": str(len(targets)),
            "test": str(len(self._read(root, train=False).targets)),
            "mean": str([round(x, 4) for x in pixels.mean(0).tolist()]),
            "std": str([round(x, 4) for x in pixels.std(0).tolist()]),
        }

    def provenance(self, root: Path) -> dict[str, str]:
        return made_up(self.folder(root))

    def network_input(self, image: "Image") -> Tensor:
        return scaled(image, 32, LOOK.mean, LOOK.std)

    def open(self, root: Path, device: torch.device) -> OpenDataset:
        images, targets = self._read(root, train=True)
        held_out = _last_of_each_class(targets, self._held_out_of_each_class())
        splits = {
            "train": Split(images[~held_out], targets[~held_out]),
            "held_out": Split(images[held_out], targets[held_out]),
            "test": self._read(root, train=False),
        }
        return InMemory(splits, LOOK, device)

    def _read(self, root: Path, train: bool) -> Split:
        """Return all images of one of the two published parts.

        Every file's MD5 is verified, unless it is made up.
        """
        from torchvision.datasets import CIFAR10

        folder, format_ = self.folder(root), _unsigned() if self.options.made_up else CIFAR10
        try:
            part = format_(folder, train=train)
        except RuntimeError as error:  # it does not say which file
            path = next(_damaged(format_, folder), folder)
            problem = "Damaged data (MD5 differs)" if path.exists() else "Data not found"
            raise advise(problem, path, self.remedy) from error
        expected = self._counts()[0 if train else 1]
        if self.options.made_up and len(part.targets) != expected:
            problem = f"{len(part.targets)} images instead of {expected}"
            raise advise(problem, folder, f"delete this folder, and {self.remedy}")
        return Split(torch.from_numpy(part.data).contiguous(), torch.tensor(part.targets))


def _unsigned() -> Any:
    """Return torchvision's reader of the same files, whatever their content."""
    from torchvision.datasets import CIFAR10

    unsigned = {
        "train_list": [[name, None] for name, _ in CIFAR10.train_list],
        "test_list": [[name, None] for name, _ in CIFAR10.test_list],
        "meta": {**CIFAR10.meta, "md5": None},
    }
    return type("Unsigned", (CIFAR10,), unsigned)


def _damaged(files: Any, folder: Path) -> Iterator[Path]:
    """Yield which of the files that torchvision's class ``files`` reads are missing or others."""
    from torchvision.datasets.utils import check_integrity

    meta = (files.meta["filename"], files.meta["md5"])
    for name, md5 in (*files.train_list, *files.test_list, meta):
        path = folder / files.base_folder / name
        if not check_integrity(path, md5):
            yield path


def _last_of_each_class(targets: Tensor, count: int) -> Tensor:
    """Return a mask [n] of the last ``count`` positions of each class."""
    mask = torch.zeros(len(targets), dtype=torch.bool)
    for label in range(CLASSES):
        mask[(targets == label).nonzero().flatten()[-count:]] = True
    return mask
