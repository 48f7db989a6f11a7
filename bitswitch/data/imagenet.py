"""``imagenet``: ILSVRC 2012, unpacked by its user; its licence forbids us to pass it on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor

from bitswitch.contracts.data import Batch, Dataset, OpenDataset
from bitswitch.data.folder import Files, FolderData, FolderOptions, carve, cropped
from bitswitch.data.layout import Expected, Layout, facts
from bitswitch.data.pixels import noise
from bitswitch.tasks.classification import Classification

if TYPE_CHECKING:
    from PIL.Image import Image

CLASSES = 1000
SPLITS = {
    "train": Expected(1_281_167, fewest=732, most=1300),
    "val": Expected(50_000, fewest=50, most=50),
}
REMEDY = (
    "get ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from https://image-net.org/download\n"
    "  and unpack them to train/<synset>/*.JPEG and val/<synset>/*.JPEG (the validation images\n"
    "  come without folders: sort them by synset), "
    "then run 'bitswitch data check imagenet'"
)


class ImageNet(Dataset):
    """The ImageNet classification task; ``test`` is its validation set, as in all publications."""

    source = "russakovsky2015imagenet"
    task = Classification()
    outputs = CLASSES
    stamp = "ImageNet"

    class Options(FolderOptions):
        """Crops, and what is held out."""

        held_out: Annotated[int, Field(ge=CLASSES, multiple_of=CLASSES, le=100 * CLASSES)] = 10_000
        """Training images not trained on: the last of each class by file name."""

    options: Options

    def example(self, count: int, generator: torch.Generator) -> Batch:
        return noise(count, self.options.crop, self.outputs, generator)

    def sizes(self) -> dict[str, int]:
        held_out = self.options.held_out
        return {
            "train": SPLITS["train"].images - held_out,
            "held_out": held_out,
            "test": SPLITS["val"].images,
        }

    def folder(self, root: Path) -> Path:
        """Return the folder below ``root`` that holds ``train`` and ``val``."""
        return root / "imagenet"

    def prepare(self, root: Path) -> None:
        self._verify(root)

    def check(self, root: Path) -> dict[str, str]:
        return facts(self._verify(root), REMEDY)

    def network_input(self, image: "Image") -> Tensor:
        return cropped(image, self.options)

    def open(self, root: Path, device: torch.device) -> OpenDataset:
        found = self._verify(root)
        train, held_out = carve(found["train"], self.options.held_out // CLASSES)
        splits = {"train": train, "held_out": held_out, "test": found["val"]}
        return FolderData(splits, self.options, device, REMEDY)

    def _verify(self, root: Path) -> dict[str, Files]:
        return Layout(synsets(), SPLITS, REMEDY, "synsets").verify(self.folder(root))


def synsets() -> list[str]:
    """Return the names of the 1000 classes in the order of their indices in published weights."""
    from timm.data.imagenet_info import ImageNetInfo

    names: list[str] = ImageNetInfo("imagenet-1k").label_names()  # type: ignore[no-untyped-call]
    return names
