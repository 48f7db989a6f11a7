"""Write packed pictures: shard by shard, so that an interrupted packing goes on at the next one.

A shard is a file of pictures, one after the other; a note beside it, written after it, says where
each begins. Once a split has all its shards, the notes are joined to its index, and go.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bitswitch.data.files import advise, load_arrays, replace_atomically, save_arrays
from bitswitch.data.folder import Files
from bitswitch.data.packed.form import Form
from bitswitch.data.packed.shards import Array, Index, index_path, shard_path
from bitswitch.data.pictures import read_picture
from bitswitch.errors import DatasetError

PER_SHARD = 2048
"""Pictures: 0.1 GB as JPEG of 256 pixels, 0.5 GB raw."""
NOTE = ".part.npz"
"""How files end that say what is in a shard."""
ELSEWHERE = (
    "free some space, or pack to another data folder (--to);\n"
    "  what is packed is kept: the same command goes on there"
)


@dataclass(frozen=True)
class Shard:
    """A shard to be written."""

    files: Files
    """The originals of its pictures."""
    path: Path
    form: Form
    remedy: str
    """What to do about an original that cannot be read."""

    @property
    def note(self) -> Path:
        """The file that says what is in it."""
        return self.path.with_suffix(NOTE)

    def is_written(self) -> bool:
        """Return whether it is there, whole, and of these originals as they are now."""
        try:
            index = load_arrays(self.note, self.remedy)
            whole = self.path.stat().st_size == index["lengths"].sum()
        except (DatasetError, OSError):
            return False
        return bool(
            whole
            and np.array_equal(index["names"], self.files.names)
            and np.array_equal(index["file_bytes"], file_sizes(self.files, self.remedy))
        )

    def write(self) -> None:
        """Write it, and its note after it.

        Raises:
            DatasetError: an original cannot be read, or the shard cannot be written.
        """
        rows: list[tuple[object, ...]] = []
        digest = hashlib.sha256()

        def write(draft: Path) -> None:
            with draft.open("wb") as file:
                for number in range(len(self.files.names)):
                    stored, row = self._packed(number)
                    rows.append((file.tell(), len(stored), *row))
                    digest.update(stored)
                    file.write(stored)
                file.flush()
                os.fsync(file.fileno())

        replace_atomically(self.path, write, ELSEWHERE)
        offsets, lengths, sizes, originals, file_bytes, hashes = map(
            np.array, zip(*rows, strict=True)
        )
        number = int(self.path.stem.rpartition("-")[2])
        index = Index(
            names=self.files.names,
            targets=self.files.targets,
            shards=np.full(len(rows), number, dtype=np.int32),
            offsets=offsets,
            lengths=lengths,
            sizes=sizes.astype(np.int32),
            original_sizes=originals.astype(np.int32),
            file_bytes=file_bytes,
            file_hashes=hashes,
        )
        sums = {"shard_bytes": np.array([lengths.sum()]), "shard_hashes": _text(digest.hexdigest())}
        save_arrays(self.note, {**index._asdict(), **sums}, ELSEWHERE)

    def _packed(self, number: int) -> tuple[bytes, tuple[object, ...]]:
        """Return what is stored of a picture, and what is noted of it."""
        path = self.files.path(number)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise advise(f"Image not readable ({error.strerror})", path, self.remedy) from None
        image = read_picture(path, self.remedy, content)
        stored, size = self.form.encoded(image, content)
        content_hash = hashlib.sha256(content).hexdigest()[:HASH_LETTERS].encode()
        return stored, (size, image.size, len(content), content_hash)


HASH_LETTERS = 32
"""Of the hash of an original file."""


def _text(text: str) -> Array:
    return np.array([text.encode()])


def file_sizes(files: Files, remedy: str) -> Array:
    """Return the size of every file in bytes.

    Raises:
        DatasetError: one cannot be reached.
    """
    sizes = np.empty(len(files.names), dtype=np.int64)
    for number in range(len(sizes)):
        path = files.path(number)
        try:
            sizes[number] = path.stat().st_size
        except OSError as error:
            raise advise(f"Image not readable ({error.strerror})", path, remedy) from None
    return sizes


class _Writing(torch.utils.data.Dataset[str | DatasetError]):
    """Item i is written when it is asked for; it is the name of the file, or what went wrong."""

    def __init__(self, shards: list[Shard]) -> None:
        self.shards = shards

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, number: int) -> str | DatasetError:
        try:
            self.shards[number].write()
        except DatasetError as error:
            return error
        return self.shards[number].path.name


def pack(
    found: Mapping[str, Files],
    folder: Path,
    forms: Mapping[str, Form],
    remedy: str,
    workers: int = 0,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Write the pictures of every split to ``folder``; what is there already is left alone.

    Args:
        found: Original files by split.
        folder: Of this form.
        forms: How each split is stored.
        remedy: What to do about an original that cannot be read.
        workers: Processes that write shards; 0: this one does.
        tell: Is told of progress.

    Raises:
        DatasetError: an original cannot be read, or a shard cannot be written.
    """
    for split, files in found.items():
        if not _is_packed(files, folder, split, remedy):
            _pack_split(files, folder, split, forms[split], remedy, workers, tell)
        for note in folder.glob(f"{split}-*{NOTE}"):
            note.unlink(missing_ok=True)
        tell(f"{split}: {len(files.names)} pictures are packed as {forms[split]} in {folder}")


def _is_packed(files: Files, folder: Path, split: str, remedy: str) -> bool:
    """Return whether a split is packed, of these originals; an index of others goes."""
    path = index_path(folder, split)
    if not path.exists():
        return False
    index = load_arrays(path, f"delete {folder}, and pack again")
    if np.array_equal(index["names"], files.names) and np.array_equal(
        index["file_bytes"], file_sizes(files, remedy)
    ):
        return True
    raise advise(
        "Originals changed after packing", folder, "delete that folder, and run the command again"
    )


def _pack_split(
    files: Files,
    folder: Path,
    split: str,
    form: Form,
    remedy: str,
    workers: int,
    tell: Callable[[str], None],
) -> None:
    shards = [
        Shard(files.take(some), shard_path(folder, split, number), form, remedy)
        for number, some in enumerate(_runs(len(files.names)))
    ]
    missing = [shard for shard in shards if not shard.is_written()]
    loader = torch.utils.data.DataLoader(
        _Writing(missing), batch_size=None, num_workers=workers, generator=torch.Generator()
    )
    for number, name in enumerate(loader, start=1 + len(shards) - len(missing)):
        if isinstance(name, DatasetError):
            raise DatasetError(str(name))
        tell(f"{split}: shard {number} of {len(shards)} ({name})")
    notes = [load_arrays(shard.note, remedy) for shard in shards]
    joined = {name: np.concatenate([note[name] for note in notes]) for name in notes[0]}
    form_word = np.array(str(form).encode())
    save_arrays(index_path(folder, split), {**joined, "form": form_word}, ELSEWHERE)


def _runs(count: int) -> list[Array]:
    """Return the numbers of the pictures in each shard."""
    return np.split(np.arange(count), range(PER_SHARD, count, PER_SHARD))
