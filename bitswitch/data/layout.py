"""Verify an image folder in ImageNet's layout before any time is spent on it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bitswitch.data.files import advise
from bitswitch.data.folder import Files, decode, list_files

SPLITS = ("train", "val")
SHOWN = 3
"""Names that a message lists at most."""


def verify(folder: Path, classes: int, counts: Mapping[str, int], remedy: str) -> dict[str, Files]:
    """Return the files of ``train`` and ``val`` after their layout and number are verified.

    Args:
        folder: Holds ``train/<class>/*`` and ``val/<class>/*``.
        classes: Expected number of classes.
        counts: Expected number of images in ``train`` and ``val``.
        remedy: What to do about a problem.

    Raises:
        DatasetError: a folder or images are missing, or the layout is another.
    """
    if not folder.is_dir():
        raise advise("Data not found", folder, remedy)
    names = {split: _class_names(folder / split, remedy) for split in SPLITS}
    for split, found in names.items():
        if len(found) != classes:
            missing = _some(sorted(names["train"] - found))
            note = f", missing: {missing}" if missing else ""
            problem = f"{len(found)} class folders instead of {classes}{note}"
            raise advise(problem, folder / split, remedy)
    strange = names["val"] ^ names["train"]
    if strange:
        problem = f"train and val have different class folders ({_some(sorted(strange))})"
        raise advise(problem, folder, remedy)
    return {split: _files(folder / split, counts[split], remedy) for split in SPLITS}


def facts(found: Mapping[str, Files], remedy: str) -> dict[str, str]:
    """Decode the first image of every class; return what a check says of verified files.

    Raises:
        DatasetError: an image is damaged.
    """
    decoded = 0
    for files in found.values():
        for index in np.unique(files.targets, return_index=True)[1]:
            decode(files.path(int(index)), remedy)
            decoded += 1
    counts = {split: str(len(files.names)) for split, files in found.items()}
    return {"folder": str(found["train"].root.parent), **counts, "decoded": str(decoded)}


def _class_names(folder: Path, remedy: str) -> set[str]:
    """Return the names of the class folders in ``folder``."""
    if not folder.is_dir():
        raise advise("Folder not found", folder, remedy)
    inside = list(folder.iterdir())
    names = {path.name for path in inside if path.is_dir()}
    if not names and inside:
        archives = all(path.suffix == ".tar" for path in inside)
        what = "archives that are not unpacked" if archives else "files and no class folders"
        problem = f"{len(inside)} {what}; expected one folder per class with its images inside"
        raise advise(problem, folder, remedy)
    return names


def _files(folder: Path, count: int, remedy: str) -> Files:
    """Return the images in ``folder``, which must be ``count``."""
    try:
        files = list_files(folder)
    except FileNotFoundError as error:  # a class without images
        raise advise(str(error).splitlines()[0].rstrip("."), folder, remedy) from None
    if len(files.names) != count:
        raise advise(f"{len(files.names)} images instead of {count}", folder, remedy)
    return files


def _some(names: list[str]) -> str:
    """Return the first names, and dots for the others."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
