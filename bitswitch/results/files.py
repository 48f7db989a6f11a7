"""Record files of a run: JSON and JSON lines, never half written, read with clear errors."""

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from bitswitch.errors import RecordError, RunDirectoryError
from bitswitch.runtime.drafts import new_draft

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failed write of ``path`` into a message that says what to do.

    Raises:
        RunDirectoryError: the disk is full, or the file or its folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            cause, remedy = "the disk is full", "Free some space"
        elif not path.parent.is_dir():
            cause, remedy = f"there is no folder {path.parent}", "Make it, or name another file,"
        else:
            cause, remedy = error.strerror or str(error), "Make the folder writable"
        raise RunDirectoryError(
            f"{path} cannot be written: {cause}.\n"
            f"  {remedy} and run again: what was saved before is intact and is continued."
        ) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, which holds either its old or its new content at any moment.

    Raises:
        RunDirectoryError: the disk is full or the folder cannot be written.
    """
    temporary = new_draft(path)
    with writing(path):
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


REMEDY = "The file was damaged or edited: delete its folder and run again to make it anew."


def write_json(path: Path, content: Any) -> None:
    """Write JSON-like ``content`` to ``path`` at once; NaN and infinity are errors."""
    write_bytes(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    """Write all ``records`` to ``path`` at once, one JSON object per line."""
    write_bytes(path, b"".join(map(_line, records)))


def _line(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, allow_nan=False) + "\n").encode()


def read_json(path: Path, remedy: str = REMEDY) -> dict[str, Any]:
    """Return the JSON object in ``path``.

    Raises:
        RecordError: the file is missing, or holds no JSON object; says the ``remedy`` then.
    """
    return parse(_read(path), str(path), remedy)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the records in ``path``, one JSON object per line.

    Raises:
        RecordError: the file is missing, or one of its lines is no JSON object.
    """
    lines = _read(path).splitlines()
    return [parse(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise RecordError(f"{path} cannot be read: {error}") from None


def parse(text: str | bytes, where: str, remedy: str = REMEDY) -> dict[str, Any]:
    """Return the JSON object in ``text``.

    Raises:
        RecordError: it holds none; ``where`` says in which file, and where there.
    """
    try:
        record = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{where}: no JSON ({error}): {text[:80]!r}\n  {remedy}") from None
    if not isinstance(record, dict):
        raise RecordError(f"{where}: expected an object, not {text[:80]!r}\n  {remedy}")
    return record


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return ``pairs`` as a mapping; of a key that stands there twice nobody knows which holds."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key '{twice}' stands there twice")
    return content


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


Mark = tuple[int, str]
"""Size of a file in bytes, and its checksum."""


def mark_of(content: bytes) -> Mark:
    """Return the mark of a file that holds ``content``."""
    return len(content), hashlib.sha256(content).hexdigest()


START = mark_of(b"")


class Lines:
    """A file of JSON lines that grows during a run and can go back to an earlier mark."""

    def __init__(self, path: Path, mark: Mark = START) -> None:
        """Open ``path`` and drop everything after its first ``mark[0]`` bytes.

        Raises:
            RecordError: the file is shorter than that, or says something else there.
            RunDirectoryError: the file cannot be written.
        """
        self.path = path
        with writing(path):
            self._file = path.open("a+b")
            self._file.seek(0)
            before = self._file.read(mark[0])
        self._sum = hashlib.sha256(before)
        self._size = len(before)
        if self.mark != mark:
            self.close()
            short = f"has {self._size} bytes where the checkpoint counts {mark[0]}"
            found = short if self._size < mark[0] else "does not say what was written there"
            raise RecordError(
                f"{path} {found}: it was damaged or edited.\n"
                f"  Delete {path.parent} to start the run over."
            )
        self._file.truncate(self._size)

    @property
    def mark(self) -> Mark:
        """What the file must begin with to go on from here."""
        return self._size, self._sum.hexdigest()

    def append(self, record: dict[str, Any]) -> None:
        """Add one line and hand it to the operating system."""
        line = _line(record)
        with writing(self.path):
            self._file.write(line)
            self._file.flush()
        self._size += len(line)
        self._sum.update(line)

    def sync(self) -> None:
        """Wait until all lines are on the disk."""
        with writing(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        with writing(self.path):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
