"""Verify an image folder in ImageNet's layout before any time is spent on it."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bitswitch.data.files import advise
from bitswitch.data.folder import Files, is_stray, list_files
from bitswitch.data.pictures import read_picture

SHOWN = 3
"""Names that a message lists at most."""


class Expected(NamedTuple):
    """What one split has to hold."""

    images: int
    """In all classes together."""
    fewest: int
    """In one class."""
    most: int
    """In one class."""


class Layout(NamedTuple):
    """What an image folder has to hold: ``<split>/<class>/*``."""

    classes: Sequence[str]
    """Names of the class folders, sorted; their order is that of class indices."""
    splits: Mapping[str, Expected]
    """By name of the split's folder; the first is the one for training."""
    remedy: str
    """What to do about data that are not there."""
    names: str = "class names"
    """What the class folders are called by."""

    def verify(self, folder: Path) -> dict[str, Files]:
        """Return the files of every split after their layout and number are verified.

        What file managers and network drives leave behind is passed over; see ``is_stray``.

        Raises:
            DatasetError: folders or images are missing, too many, or laid out in another way.
        """
        if not folder.is_dir():
            raise advise("Data not found", folder, self.remedy)
        for split in self.splits:
            self._verify_classes(folder / split)
        return {split: self._files(folder / split, split) for split in self.splits}

    def _verify_classes(self, folder: Path) -> None:
        found, expected = _class_names(folder, self.remedy), set(self.classes)
        missing, strange = sorted(expected - found), sorted(found - expected)
        if not missing and not strange:
            return
        notes = [f"missing: {_some(missing)}"] if missing else []
        notes += [f"not expected: {_some(strange)}"] if strange else []
        number = f"{len(found)} class folders"
        number += f" instead of {len(expected)}" if len(found) != len(expected) else ""
        remedy = self.remedy
        if not missing:
            remedy = "move what is not expected somewhere else"
        elif strange:
            remedy = (
                f"class folders are called by {self.names}, sorted, {self.classes[0]} first: "
                f"rename yours, or {self.remedy}"
            )
        raise advise(f"{number}, {'; '.join(notes)}", folder, remedy)

    def _files(self, folder: Path, split: str) -> Files:
        """Return the images in ``folder``, which must be as many as expected."""
        expected = self.splits[split]
        try:
            files = list_files(folder, self.classes)
        except FileNotFoundError as error:  # a class without images
            raise advise(str(error).splitlines()[0].rstrip("."), folder, self.remedy) from None
        counts = np.bincount(files.targets, minlength=len(self.classes))
        odd = [
            f"{name} has {count}"
            for name, count in zip(self.classes, counts.tolist(), strict=True)
            if not expected.fewest <= count <= expected.most
        ]
        if odd or len(files.names) != expected.images:
            note = f" ({_some(odd)} instead of {_range(expected)})" if odd else ""
            problem = f"{len(files.names)} images instead of {expected.images}{note}"
            raise advise(problem, folder, self.remedy)
        return files


def facts(found: Mapping[str, Files], remedy: str) -> dict[str, str]:
    """Return what a check says of verified files: all can be read, one of every class is decoded.

    Raises:
        DatasetError: a file is empty or cannot be reached, or an image is damaged.
    """
    decoded = 0
    for files in found.values():
        unusable = list(_unusable(files))
        if unusable:
            problem = f"{len(unusable)} images that cannot be read ({_some(unusable)})"
            raise advise(problem, files.root, remedy)
        for index in np.unique(files.targets, return_index=True)[1]:
            read_picture(files.path(int(index)), remedy)
            decoded += 1
    counts = {split: str(len(files.names)) for split, files in found.items()}
    root = next(iter(found.values())).root.parent
    return {"folder": str(root), **counts, "decoded": str(decoded)}


def _unusable(files: Files) -> Iterator[str]:
    """Yield which files are empty, lead nowhere or may not be read, and why."""
    for index in range(len(files.names)):
        path = files.path(index)
        try:
            empty = path.stat().st_size == 0
        except OSError as error:
            yield f"{path.relative_to(files.root)}: {error.strerror}"
            continue
        if empty or not os.access(path, os.R_OK):
            yield f"{path.relative_to(files.root)}: {'empty' if empty else 'no permission'}"


def _class_names(folder: Path, remedy: str) -> set[str]:
    """Return the names of the class folders in ``folder``."""
    if not folder.is_dir():
        raise advise("Folder not found", folder, remedy)
    inside = [path for path in folder.iterdir() if not is_stray(path.name)]
    names = {path.name for path in inside if path.is_dir()}
    if not names and inside:
        archives = all(path.suffix == ".tar" for path in inside)
        what = "archives that are not unpacked" if archives else "files and no class folders"
        problem = f"{len(inside)} {what}; expected one folder per class with its images inside"
        raise advise(problem, folder, remedy)
    return names


def _some(names: Collection[str]) -> str:
    """Return the first names, and how many others there are."""
    rest = len(names) - SHOWN
    return ", ".join(list(names)[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _range(expected: Expected) -> str:
    if expected.fewest == expected.most:
        return str(expected.most)
    return f"{expected.fewest} to {expected.most}"
