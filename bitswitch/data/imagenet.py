"""``imagenet``: ILSVRC 2012, unpacked by its user; its licence forbids us to pass it on."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from bitswitch.data.crops import FolderOptions, Pictures
from bitswitch.data.files import carry_mark, made_up
from bitswitch.data.folder import Files
from bitswitch.data.folder_dataset import FolderDataset
from bitswitch.data.layout import Expected, Layout, facts
from bitswitch.data.made_up import REMEDY as MAKE_UP
from bitswitch.data.made_up import Few, below
from bitswitch.data.packed import form as forms
from bitswitch.data.packed.folders import PackedFolders, split_forms
from bitswitch.data.packed.form import ORIGINAL, Form, OtherPixels, Resized
from bitswitch.data.packed.packing import pack

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

    class Options(FolderOptions):
        """Crops, what is held out, and which pixels are trained on."""

        held_out: Annotated[int, Field(ge=CLASSES, multiple_of=CLASSES, le=100 * CLASSES)] = 10_000
        """Training images not trained on: the last of each class by file name. Of made-up ones, as
        many of each class."""
        made_up: Annotated[Few | None, Field(exclude_if=lambda few: few is None)] = None
        """Noise in place of the images, of the first classes: to try out a machine."""
        packed: OtherPixels | None = Field(default=None, exclude_if=lambda word: word is None)
        """Training and held-out images as ``bitswitch data pack`` has made them smaller, e.g.
        ``jpeg-256-90``; None: as they were published."""

        @model_validator(mode="after")
        def _packed_pixels_suffice(self) -> Self:
            form = forms.parse(self.packed) if self.packed else None
            if isinstance(form, Resized) and form.side < self.resize:
                raise ValueError(
                    f"packed: {self.packed} has fewer pixels than resize, {self.resize}, asks for: "
                    f"pack a shorter side of {self.resize}, or lower resize (and crop)"
                )
            return self

        @model_validator(mode="after")
        def _some_are_left(self) -> Self:
            few = self.made_up
            if few and few.classes > CLASSES:
                raise ValueError(f"made_up.classes: ImageNet has {CLASSES}, not {few.classes}")
            if few and few.per_class <= self.held_out // CLASSES:
                raise ValueError(
                    f"made_up.per_class {few.per_class}: held_out {self.held_out} takes "
                    f"{self.held_out // CLASSES} of each class, and none is left to train on"
                )
            return self

    options: Options

    @property
    def outputs(self) -> int:  # type: ignore[override]
        """How many classes there are."""
        few = self.options.made_up
        return few.classes if few else CLASSES

    @property
    def remedy(self) -> str:  # type: ignore[override]
        """What to do about missing or damaged files."""
        return MAKE_UP if self.options.made_up else REMEDY

    @property
    def splits(self) -> Mapping[str, Expected]:
        """What the folders ``train`` and ``val`` have to hold."""
        few = self.options.made_up
        if few is None:
            return SPLITS
        return {name: Expected(few.classes * n, n, n) for name, n in few.counts.items()}

    def sizes(self) -> dict[str, int]:
        held_out, few = self.options.held_out, self.options.made_up
        if few:
            held_out = held_out // CLASSES * few.classes
        return {
            "train": self.splits["train"].images - held_out,
            "held_out": held_out,
            "test": self.splits["val"].images,
        }

    def folder(self, root: Path) -> Path:
        """Return the folder below ``root`` that holds ``train`` and ``val``."""
        return below(root, self.options.made_up is not None) / "imagenet"

    @property
    def is_noise(self) -> bool:  # type: ignore[override]
        """Whether the images are made up."""
        return self.options.made_up is not None

    @property
    def stamp(self) -> str:  # type: ignore[override]
        """What tables say of the data."""
        packed, few = self.options.packed, self.options.made_up
        name = f"noise in {few.classes} classes of ImageNet" if few else "ImageNet"
        return f"{name} packed as {packed}" if packed else name

    def packed_folders(self, root: Path) -> PackedFolders:
        """Return the packed forms below ``root``."""
        counts = {split: expected.images for split, expected in self.splits.items()}
        folder = self.folder(root)
        return PackedFolders(folder.with_name("imagenet-packed"), "imagenet", counts)

    def prepare(self, root: Path) -> None:
        self.verify(root)

    def check(self, root: Path) -> dict[str, str]:
        packed, originals = self.packed_folders(root), None
        words = list(packed.found())
        found: dict[str, str] = {}
        if self.folder(root).exists() or not words:
            originals = self._originals(root)
            found = facts(originals, self.remedy) | made_up(self.folder(root))
        if self.options.packed and self.options.packed not in words:
            packed.open(self.options.packed)
        for word in words:
            if packed.is_complete(word) or word == self.options.packed:
                found[word] = packed.verify(word, originals)
            else:
                found[word] = f"incomplete: {packed.remedy(word)}"
        return found

    def pack(
        self, root: Path, to: Path, form: Form, workers: int, tell: Callable[[str], None]
    ) -> Path:
        """Pack the original files below ``root`` for the data folder ``to``; return the folder.

        Raises:
            DatasetError: originals are missing or damaged, or nothing can be written.
        """
        originals, packed = self._originals(root), self.packed_folders(to).folder(str(form))
        pack(originals, packed, split_forms(form), self.remedy, workers, tell)
        carry_mark(self.folder(root), packed)
        return packed

    def provenance(self, root: Path) -> dict[str, str]:
        packed, word = self.packed_folders(root), self._packed_as(root)
        if word is None or not packed.is_complete(word):
            return made_up(self.folder(root))
        facts = {"packed": word, "packed_hash": packed.identity(word)}
        return facts | made_up(packed.folder(word))

    def verify(self, root: Path) -> Mapping[str, Pictures]:
        word = self._packed_as(root)
        return self.packed_folders(root).open(word) if word else self._originals(root)

    def _packed_as(self, root: Path) -> str | None:
        """Return the form that is read, None: original files.

        Where these are packed as they are, that is read instead: no number can tell.
        """
        if self.options.packed is None and self.packed_folders(root).is_complete(ORIGINAL):
            return ORIGINAL
        return self.options.packed

    def _originals(self, root: Path) -> dict[str, Files]:
        classes = synsets()[: self.outputs]
        return Layout(classes, self.splits, self.remedy, "synsets").verify(self.folder(root))


def synsets() -> list[str]:
    """Return the names of the 1000 classes in the order of their indices in published weights."""
    from timm.data.imagenet_info import ImageNetInfo

    names: list[str] = ImageNetInfo("imagenet-1k").label_names()  # type: ignore[no-untyped-call]
    return names
