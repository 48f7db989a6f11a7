"""``imagenet``: ILSVRC 2012, unpacked by its user; its licence forbids us to pass it on."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from bitswitch.data.folder import Files, FolderOptions
from bitswitch.data.folder_dataset import FolderDataset
from bitswitch.data.layout import Expected, Layout, facts

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


class ImageNet(FolderDataset):
    """The ImageNet classification task; ``test`` is its validation set, as in all publications."""

    source = "russakovsky2015imagenet"
    outputs = CLASSES
    remedy = REMEDY
    stamp = "ImageNet"

    class Options(FolderOptions):
        """Crops, and what is held out."""

        held_out: Annotated[int, Field(ge=CLASSES, multiple_of=CLASSES, le=100 * CLASSES)] = 10_000
        """Training images not trained on: the last of each class by file name."""

    options: Options

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
        self.verify(root)

    def check(self, root: Path) -> dict[str, str]:
        return facts(self.verify(root), REMEDY)

    def verify(self, root: Path) -> dict[str, Files]:
        return Layout(synsets(), SPLITS, REMEDY, "synsets").verify(self.folder(root))


def synsets() -> list[str]:
    """Return the names of the 1000 classes in the order of their indices in published weights."""
    from timm.data.imagenet_info import ImageNetInfo

    names: list[str] = ImageNetInfo("imagenet-1k").label_names()  # type: ignore[no-untyped-call]
    return names
