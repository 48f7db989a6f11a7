"""Jobs that were done more than once, on several machines, with other numbers."""

import json
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from bitswitch.errors import RecordError
from bitswitch.results.result import FILES, NAME

FOLDER = "repeats"
"""Below it the folders of repeats, numbered from 1, each with jobs as in the folder of results."""
PROVENANCE = "provenance.json"


class Difference(NamedTuple):
    """The first line in which two attempts at a job differ."""

    file: str
    line: int
    kept: str | None
    """What the attempt says that tables show; None: its file ends before."""
    repeated: str | None
    """What the other one says."""


def repeat_rows(results: Path) -> Iterator[dict[str, Any]]:
    """Yield one row per repeat and file that says other numbers."""
    for folder in sorted((results / FOLDER).glob("*/*/*")):
        number, kind, key = folder.relative_to(results / FOLDER).parts
        kept, repeated = _content(results / kind / key), _content(folder)
        device = json.loads(repeated.get(PROVENANCE, b"{}")).get("device_name")
        for difference in differences(numbers(kept), numbers(repeated)):
            about = {"job": key, "kind": kind, "number": int(number), "device_name": device}
            yield about | difference._asdict()


def numbers(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return those of a job's files that say what it found, whoever found it and when.

    Raises:
        RecordError: its result is missing.
    """
    if NAME not in files:
        raise RecordError(f"A job has no {NAME}, but {', '.join(sorted(files)) or 'nothing'}.")
    vouched = json.loads(files[NAME])[FILES]
    return {name: files[name] for name in sorted(vouched) if name != PROVENANCE}


def differences(kept: Mapping[str, bytes], repeated: Mapping[str, bytes]) -> list[Difference]:
    """Return where two attempts say other numbers, once for each file."""
    found = []
    for name in sorted(kept.keys() | repeated.keys()):
        one, other = (files.get(name, b"").decode().splitlines() for files in (kept, repeated))
        pairs = enumerate(zip_longest(one, other), start=1)
        first = next(((line, *pair) for line, pair in pairs if pair[0] != pair[1]), None)
        if first is not None:
            found.append(Difference(name, *first))
    return found


def _content(folder: Path) -> dict[str, bytes]:
    """Return the files of a job, by path below its folder."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
