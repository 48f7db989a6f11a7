"""``digits-folder``: the rendered digits as JPEG files in ImageNet's layout and pipeline."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, NonNegativeFloat

from bitswitch.data import files
from bitswitch.data.crops import FolderOptions
from bitswitch.data.folder import Files
from bitswitch.data.folder_dataset import FolderDataset
from bitswitch.data.layout import Expected, Layout, facts
from bitswitch.data.rendering import CLASSES, RENDERING, Rendered, render
from bitswitch.runtime.cache import digest

REMEDY = files.prepare_again("digits-folder")
JPEG_QUALITY = 90
IMAGES = "*/[0-9]/[0-9]*.jpg"
HASH = "sha256"
"""File that holds the hash of all images, as they were written."""

Count = Annotated[int, Field(ge=CLASSES, multiple_of=CLASSES)]


class DigitsFolder(FolderDataset):
    """Stands in for ImageNet on embedded data: every line of its pipeline runs, at a small size.

    The three splits are rendered from disjoint sets of scans; ``held_out`` is carved out of
    ``train`` as ImageNet's is.
    """

    source = "alpaydin1998optical"
    outputs = CLASSES
    remedy = REMEDY

    class Options(FolderOptions):
        """What is rendered, and how it is cropped."""

        size: Annotated[int, Field(ge=8, le=256)] = 40
        """Height and width of the files."""
        resize: Annotated[int, Field(ge=8)] = 36
        crop: Annotated[int, Field(ge=8)] = 32
        smallest_area: Annotated[float, Field(gt=0, le=1)] = 0.6
        flip: bool = False
        """A mirrored digit is no digit."""
        train: Count = 2560
        """Training images, the held-out ones not counted."""
        held_out: Count = 200
        test: Count = 500
        difficulty: NonNegativeFloat = 1.0
        """Strength of jitter, texture and distractor; 0 leaves plain digits."""

    options: Options

    @property
    def stamp(self) -> str:  # type: ignore[override]
        """What tables say of the data."""
        return f"embedded digits as JPEG folder {self.options.crop}x{self.options.crop}"

    def sizes(self) -> dict[str, int]:
        options = self.options
        return {"train": options.train, "held_out": options.held_out, "test": options.test}

    def folder(self, root: Path) -> Path:
        """Return the folder below ``root`` that holds ``train`` and ``val``."""
        rendered = (*self.sizes().values(), self.options.size, self.options.difficulty)
        return root / f"digits-folder-{digest(RENDERING, rendered)[:8]}"

    def prepare(self, root: Path) -> None:
        if not _intact(self.folder(root)):
            files.replace_folder(self.folder(root), self._write)

    def _write(self, folder: Path) -> None:
        """Write all images below ``folder``; the held-out ones come last by name."""
        sizes = self.sizes()
        for split, part, first in (
            ("train", "train", 0),
            ("held_out", "train", sizes["train"]),
            ("test", "val", 0),
        ):
            rendered = render(split, sizes[split], self.options.size, self.options.difficulty)
            _write_images(folder / part, first, rendered)
        (folder / HASH).write_text(files.folder_hash(folder, IMAGES))

    def check(self, root: Path) -> dict[str, str]:
        folder, found = self.folder(root), facts(self.verify(root), REMEDY)
        if not _intact(folder):
            raise files.advise("Damaged data (hash differs)", folder, REMEDY)
        return {**found, "sha256": (folder / HASH).read_text()}

    def verify(self, root: Path) -> dict[str, Files]:
        sizes = self.sizes()
        counts = {"train": sizes["train"] + sizes["held_out"], "val": sizes["test"]}
        splits = {
            name: Expected(count, count // CLASSES, count // CLASSES)
            for name, count in counts.items()
        }
        return Layout([str(digit) for digit in range(CLASSES)], splits, REMEDY).verify(
            self.folder(root)
        )


def _intact(folder: Path) -> bool:
    """Return whether ``folder`` holds what was written."""
    recorded = folder / HASH
    return recorded.exists() and recorded.read_text() == files.folder_hash(folder, IMAGES)


def _write_images(folder: Path, first: int, rendered: Rendered) -> None:
    """Write images as ``<class>/<number>.jpg``, numbered from ``first``."""
    from PIL import Image

    for digit in range(CLASSES):
        (folder / str(digit)).mkdir(parents=True, exist_ok=True)
    for number, (pixels, digit) in enumerate(
        zip(rendered.images.numpy(), rendered.targets.tolist(), strict=True), start=first
    ):
        path = folder / str(digit) / f"{number:05d}.jpg"
        Image.fromarray(pixels).save(path, quality=JPEG_QUALITY)
