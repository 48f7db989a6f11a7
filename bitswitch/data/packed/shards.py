"""Pictures in few large files, read by mapping them into memory."""

import hashlib
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bitswitch.data.files import HASH, advise, load_arrays
from bitswitch.data.packed import form as forms
from bitswitch.data.packed.form import Form

if TYPE_CHECKING:
    from PIL.Image import Image

Array = np.ndarray[Any, Any]

SOME_BYTES = 2**24
"""Are read at once where a checksum is computed."""


class Index(NamedTuple):
    """What is known of every picture; arrays [n], because worker processes share them."""

    names: Array
    """Bytes, ``<class>/<file>``."""
    targets: Array
    shards: Array
    """Number of the shard that holds it."""
    offsets: Array
    """Of its first byte there."""
    lengths: Array
    """Bytes."""
    sizes: Array
    """[n, 2], width and height of what is stored."""
    original_sizes: Array
    """[n, 2], the same of the original picture, turned the way up."""
    file_bytes: Array
    """Size of the original file."""
    file_hashes: Array
    """SHA-256 of the original file, 32 bytes in hex."""

    def take(self, chosen: Array) -> "Index":
        """Return the rows where ``chosen`` [n] is true."""
        return Index(*(column[chosen] for column in self))


class Checksums(NamedTuple):
    """Of the shards of a split, by number."""

    lengths: Array
    """Bytes."""
    hashes: Array
    """SHA-256 in hex."""


def shard_path(folder: Path, split: str, number: int) -> Path:
    """Return the file of a shard."""
    return folder / f"{split}-{number:05d}.shard"


def index_path(folder: Path, split: str) -> Path:
    """Return the file of the index of a split, which is written last."""
    return folder / f"{split}.npz"


@dataclass(frozen=True)
class Shards:
    """Packed pictures of one split, or some of them."""

    folder: Path
    split: str
    form: Form
    index: Index
    checksums: Checksums
    maps: dict[int, mmap.mmap] = field(default_factory=dict, compare=False, repr=False)
    """Shards that this process has mapped, by number."""

    @classmethod
    def open(cls, folder: Path, split: str, remedy: str) -> "Shards":
        """Return all packed pictures of ``split``.

        Raises:
            DatasetError: packing has not been finished, or a shard is missing or has another size.
        """
        arrays = load_arrays(index_path(folder, split), remedy)
        columns = (arrays[name] for name in Index._fields)
        sums = Checksums(arrays["shard_bytes"], arrays["shard_hashes"])
        form = forms.parse(bytes(arrays["form"].item()).decode())
        found = cls(folder, split, form, Index(*columns), sums)
        for path, length in zip(found.paths(), sums.lengths.tolist(), strict=True):
            there = path.stat().st_size if path.exists() else None
            if there != length:
                what = f"{there} bytes instead of {length}" if there is not None else "missing"
                raise advise(f"Damaged packed pictures ({what})", path, remedy)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs; it maps files by itself."""
        return {**self.__dict__, "maps": {}}

    @property
    def names(self) -> Array:
        """Bytes [n], ``<class>/<file>``."""
        return self.index.names

    @property
    def targets(self) -> Array:
        """int64 [n]."""
        return self.index.targets

    def paths(self) -> list[Path]:
        """Return the files of all shards."""
        count = len(self.checksums.lengths)
        return [shard_path(self.folder, self.split, number) for number in range(count)]

    def take(self, chosen: Array) -> "Shards":
        """Return the pictures where ``chosen`` [n] is true."""
        return replace(self, index=self.index.take(chosen))

    def size(self, limit: int) -> int:
        """Return the bytes of all pictures, whatever ``limit``: they are known."""
        return int(self.index.lengths.sum())

    def picture(self, index: int, remedy: str) -> "Image":
        """Return picture ``index``, RGB; see ``Form.image``."""
        content = self._stored(index).numpy().tobytes()
        return self.form.image(self.path(index), content, self.stored_size(index), remedy)

    def pixels(self, index: int, remedy: str) -> Tensor:
        """Return picture ``index``, uint8 [3, height, width], channels last in memory.

        Raises:
            DatasetError: it is damaged.
        """
        try:
            return self.form.pixels(self._stored(index), self.stored_size(index))
        except RuntimeError as error:
            problem = f"Damaged packed picture ({str(error).splitlines()[0]})"
            raise advise(problem, self.path(index), remedy) from None

    def path(self, index: int) -> Path:
        """Return the path of a picture as if its shard were a folder."""
        shard = shard_path(self.folder, self.split, int(self.index.shards[index]))
        name: bytes = self.index.names[index]
        return shard / os.fsdecode(name)

    def stored_size(self, index: int) -> tuple[int, int]:
        """Return width and height of what is stored."""
        width, height = self.index.sizes[index].tolist()
        return width, height

    def original_size(self, index: int) -> tuple[int, int]:
        """Return width and height of the original picture."""
        width, height = self.index.original_sizes[index].tolist()
        return width, height

    def _stored(self, index: int) -> Tensor:
        """Return the bytes of a picture, a view of its shard."""
        number, row = int(self.index.shards[index]), self.index
        offset, count = int(row.offsets[index]), int(row.lengths[index])
        return torch.frombuffer(self._mapped(number), dtype=torch.uint8, offset=offset, count=count)

    def _mapped(self, number: int) -> mmap.mmap:
        """Return a shard, mapped once; nothing written to it would reach the file."""
        if number not in self.maps:
            with shard_path(self.folder, self.split, number).open("rb") as file:
                self.maps[number] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        return self.maps[number]

    def damaged(self) -> Iterator[Path]:
        """Yield the shards that are not what was written."""
        for path, recorded in zip(self.paths(), self.checksums.hashes.tolist(), strict=True):
            if file_hash(path) != recorded.decode():
                yield path


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while some := file.read(SOME_BYTES):
            digest.update(some)
    return digest.hexdigest()


def index_hash(path: Path) -> str:
    """Return the hash that an index has recorded of itself: of all names, places and checksums."""
    with np.load(path, allow_pickle=False) as file:
        return str(file[HASH])
