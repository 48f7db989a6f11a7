"""Record files of a run: JSON and JSON lines, never half written, read with clear errors."""

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from bitswitch.drafts import new_draft
from bitswitch.errors import RecordError, RunDirectoryError

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


def write_json(path: Path, content: Any) -> None:
    """Write JSON-like ``content`` to ``path`` at once; NaN and infinity are errors."""
    write_bytes(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    """Write all ``records`` to ``path`` at once, one JSON object per line."""
    write_bytes(path, b"".join(map(_line, records)))


def _line(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in ``path``.

    Raises:
        RecordError: the file is missing, or holds no JSON object.
    """
    return _parse(_read(path), str(path))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the records in ``path``, one JSON object per line.

    Raises:
        RecordError: the file is missing, or one of its lines is no JSON object.
    """
    lines = _read(path).splitlines()
    return [_parse(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} cannot be read: {error}") from None


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except ValueError as error:
        raise RecordError(f"{where}: no JSON ({error}): {text[:80]!r}\n  {_REMEDY}") from None
    if not isinstance(record, dict):
        raise RecordError(f"{where}: expected an object, not {text[:80]!r}\n  {_REMEDY}")
    return record


_REMEDY = "The file was damaged or edited: delete its folder and run again to make it anew."


class Lines:
    """A file of JSON lines that grows during a run and can go back to an earlier size."""

    def __init__(self, path: Path, size: int = 0) -> None:
        """Open ``path`` and drop everything after its first ``size`` bytes.

        Raises:
            RecordError: the file is shorter than ``size``.
            RunDirectoryError: the file cannot be written.
        """
        self.path = path
        with writing(path):
            self._file = path.open("ab")
        found = self.size
        if found < size:
            self.close()
            raise RecordError(
                f"{path} has {found} bytes where the checkpoint counts {size}: "
                f"it was damaged or edited.\n  Delete {path.parent} to start the run over."
            )
        self._file.truncate(size)

    @property
    def size(self) -> int:
        """Number of bytes written so far."""
        return os.fstat(self._file.fileno()).st_size

    def append(self, record: dict[str, Any]) -> None:
        """Add one line and hand it to the operating system."""
        with writing(self.path):
            self._file.write(_line(record))
            self._file.flush()

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
