"""``imagenet``: ILSVRC 2012, unpacked by its user; its licence forbids us to pass it on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor

from bitswitch.contracts import Dataset, OpenDataset
from bitswitch.data.folder import FolderData, FolderOptions, carve, cropped
from bitswitch.data.layout import facts, verify

if TYPE_CHECKING:
    from PIL.Image import Image

CLASSES = 1000
COUNTS = {"train": 1_281_167, "val": 50_000}
REMEDY = (
    "get ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from https://image-net.org/download\n"
    "  and unpack them to train/<synset>/*.JPEG and val/<synset>/*.JPEG (the validation images\n"
    "  come without folders: sort them by synset), "
    "then run 'bitswitch data check imagenet'"
)


class ImageNet(Dataset):
    """The ImageNet classification task; ``test`` is its validation set, as in all publications."""

    source = "russakovsky2015imagenet"
    classes = CLASSES
    stamp = "ImageNet"

    class Options(FolderOptions):
        """Crops, and what is held out."""

        held_out: Annotated[int, Field(ge=CLASSES, multiple_of=CLASSES, le=100 * CLASSES)] = 10_000
        """Training images not trained on: the last of each class by file name."""

    options: Options

    def shape(self) -> tuple[int, int, int]:
        return 3, self.options.crop, self.options.crop

    def sizes(self) -> dict[str, int]:
        held_out = self.options.held_out
        return {
            "train": COUNTS["train"] - held_out,
            "held_out": held_out,
            "test": COUNTS["val"],
        }

    def folder(self, root: Path) -> Path:
        """Return the folder below ``root`` that holds ``train`` and ``val``."""
        return root / "imagenet"

    def prepare(self, root: Path) -> None:
        verify(self.folder(root), CLASSES, COUNTS, REMEDY)

    def check(self, root: Path) -> dict[str, str]:
        return facts(verify(self.folder(root), CLASSES, COUNTS, REMEDY), REMEDY)

    def network_input(self, image: "Image") -> Tensor:
        return cropped(image, self.options)

    def open(self, root: Path, device: torch.device) -> OpenDataset:
        found = verify(self.folder(root), CLASSES, COUNTS, REMEDY)
        train, held_out = carve(found["train"], self.options.held_out // CLASSES)
        splits = {"train": train, "held_out": held_out, "test": found["val"]}
        return FolderData(splits, self.options, device, REMEDY)
