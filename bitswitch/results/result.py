"""``result.json``: written last by every job, with the checksums of what the job leaves behind.

Whoever reads a result compares: a line that was lost, doubled or changed is never used.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bitswitch.errors import RecordError
from bitswitch.results.files import read_json, write_json

NAME = "result.json"
FILES = "files"
"""Key of the checksums of other files, by path below the folder."""
OWN = "sha256"
"""Key of the checksum of all other keys."""


def write_result(folder: Path, content: dict[str, Any], files: Iterable[str]) -> None:
    """Write ``content`` to ``result.json`` at once; from then on the job counts as finished.

    Args:
        folder: Of the job.
        content: JSON-like; checksums that it has already are made anew.
        files: What else a reader may rely on, paths below ``folder``.
    """
    body = {key: value for key, value in content.items() if key != OWN}
    body[FILES] = {name: _sum((folder / name).read_bytes()) for name in files}
    write_json(folder / NAME, {**body, OWN: _own(body)})


def read_result(folder: Path, *files: str, remedy: str | None = None) -> dict[str, Any]:
    """Return what ``result.json`` says, once it and ``files`` are found to be as written.

    Args:
        folder: Of a finished job.
        files: What will be read besides; default: all that the job has left.
        remedy: What to do where they are not; None: delete the folder and run again.

    Raises:
        RecordError: one of them is missing, was damaged or edited, or is of an earlier version.
    """
    remedy = remedy or f"  Delete {folder} and run again to make it anew."
    body = read_json(folder / NAME)
    own, sums = body.pop(OWN, None), body.pop(FILES, None)
    if own is None or not isinstance(sums, dict):
        raise RecordError(
            f"{folder / NAME} has no checksums: an earlier version of bitswitch wrote it, or it "
            f"was edited.\n{remedy}"
        )
    found = {NAME: _own({**body, FILES: sums})}
    for name in files or sums:
        try:
            found[name] = _sum((folder / name).read_bytes())
        except OSError as error:
            problem = f"{folder / name} cannot be read: {error.strerror}."
            raise RecordError(f"{problem}\n{remedy}") from None
    expected = {**sums, NAME: own}
    changed = next((name for name in found if found[name] != expected.get(name)), None)
    if changed is not None:
        raise RecordError(
            f"{folder / changed} is not as it was written: it was damaged or edited.\n{remedy}"
        )
    return body


def changed_in(folder: Path) -> list[str]:
    """Return all files of a finished job that are missing or not as they were written.

    Raises:
        RecordError: its result is no JSON object.
    """
    body = read_json(folder / NAME)
    own, sums = body.pop(OWN, None), dict(body.get(FILES, {}))
    found = [] if own == _own(body) else [NAME]
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file() or _sum(path.read_bytes()) != expected:
            found.append(name)
    return found


def files_of(folder: Path) -> list[str]:
    """Return the files, paths below ``folder``, that the result in it has checksums of."""
    return list(read_json(folder / NAME).get(FILES, ()))


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _own(body: dict[str, Any]) -> str:
    """Return the checksum of what JSON makes of ``body``."""
    plain = json.loads(json.dumps(body))
    return _sum(json.dumps(plain, sort_keys=True).encode())
