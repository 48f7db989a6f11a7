"""The packed forms of a dataset of image files: found, opened and verified."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from bitswitch.data.files import advise
from bitswitch.data.folder import Files
from bitswitch.data.packed import form as forms
from bitswitch.data.packed.form import Form, Original
from bitswitch.data.packed.packing import HASH_LETTERS
from bitswitch.data.packed.shards import Shards, file_hash, index_hash, index_path
from bitswitch.runtime.cache import digest

SPLITS = ("train", "val")


def split_forms(form: Form) -> dict[str, Form]:
    """Return how each split is stored: networks are tested on original files, whatever the form."""
    return {"train": form, "val": Original()}


@runtime_checkable
class Packable(Protocol):
    """A dataset that can be packed."""

    def pack(
        self, root: Path, to: Path, form: Form, workers: int, tell: Callable[[str], None]
    ) -> Path:
        """Pack the original files below ``root`` for the data folder ``to``; return the folder."""


class PackedFolders:
    """All packed forms of one dataset, each in a folder that is called by its word.

    Args:
        folder: Of the forms.
        name: Of the dataset.
        counts: Pictures of each split.
    """

    def __init__(self, folder: Path, name: str, counts: Mapping[str, int]) -> None:
        self.base, self.name, self.counts = folder, name, counts

    def folder(self, word: str) -> Path:
        """Return the folder of a form."""
        return self.base / word

    def is_complete(self, word: str) -> bool:
        """Return whether packing this form has been finished."""
        return all(index_path(self.folder(word), split).exists() for split in SPLITS)

    def found(self) -> Iterator[str]:
        """Yield the forms that are there, packed whole or in part."""
        for path in sorted(self.base.iterdir()) if self.base.is_dir() else ():
            try:
                yield str(forms.parse(path.name))
            except ValueError:
                continue

    def remedy(self, word: str) -> str:
        """Return what to do about packed pictures that are missing or damaged."""
        return (
            f"run 'bitswitch data pack {self.name} --form {word}', which reads the original files"
        )

    def again(self, word: str) -> str:
        """Return what to do about packed pictures that are damaged."""
        return f"delete {self.folder(word)}, and {self.remedy(word)}"

    def open(self, word: str) -> dict[str, Shards]:
        """Return the pictures of both splits, packed as ``word``.

        Raises:
            DatasetError: they are not there, not whole, or of other originals than expected.
        """
        if not self.is_complete(word):
            problem = f"Pictures packed as {word} not found, or not all of them"
            raise advise(problem, self.folder(word), self.remedy(word))
        found = {split: Shards.open(self.folder(word), split, self.again(word)) for split in SPLITS}
        for split, shards in found.items():
            if len(shards.names) != self.counts[split]:
                problem = (
                    f"{split} has {len(shards.names)} pictures instead of {self.counts[split]}"
                )
                raise advise(problem, self.folder(word), self.again(word))
        return found

    def identity(self, word: str) -> str:
        """Return sixteen hex digits of what is packed: names, places, and checksums of shards."""
        indices = (index_hash(index_path(self.folder(word), split)) for split in SPLITS)
        return digest(*indices)[:16]

    def verify(self, word: str, originals: Mapping[str, Files] | None) -> str:
        """Return what a check says of packed pictures; every byte of them is read.

        Args:
            word: Of the form.
            originals: Their files, where these are there too.

        Raises:
            DatasetError: they are damaged, or not those of the original files.
        """
        found = self.open(word)
        for split, shards in found.items():
            for path in shards.damaged():
                raise advise("Damaged packed pictures (hash differs)", path, self.again(word))
            if originals is not None:
                self._compare(word, shards, originals[split])
        count = sum(len(shards.checksums.lengths) for shards in found.values())
        total = sum(int(shards.checksums.lengths.sum()) for shards in found.values())
        same = "" if originals is None else ", of these originals"
        return f"{count} shards of {total / 1e9:.3g} GB intact{same} ({self.identity(word)})"

    def _compare(self, word: str, shards: Shards, files: Files) -> None:
        """Compare names and sizes of all originals, and the content of one of every class.

        Raises:
            DatasetError: an original has changed since it was packed.
        """
        if not np.array_equal(shards.names, files.names):
            raise advise(
                "Originals have other names than when packed", files.root, self.again(word)
            )
        first = set(np.unique(files.targets, return_index=True)[1].tolist())
        for number, packed_bytes in enumerate(shards.index.file_bytes.tolist()):
            path = files.path(number)
            same = path.stat().st_size == packed_bytes
            if same and number in first:
                same = file_hash(path)[:HASH_LETTERS].encode() == shards.index.file_hashes[number]
            if not same:
                raise advise("Original changed after packing", path, self.again(word))
