"""Small results that take long to compute, kept on disk between commands."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zlib import crc32

FOLDER = Path(".cache")
"""Below the working directory; may be deleted at any time."""
MOST_LINES = 50_000
"""Of a store; the largest suite adds a few thousand for each version of the code."""


def digest(*content: Any) -> str:
    """Return sixteen hex digits that stand for JSON-like ``content``.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_state(module: str) -> str:
    """Return a digest that changes when a file of ``module``'s top-level package is edited.

    Nothing is imported; an absent package has a state too.
    """
    return _state_of(module.partition(":")[0].partition(".")[0])


@cache
def _state_of(package: str) -> str:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return "absent"
    origin = Path(spec.origin)
    files = sorted(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]
    return digest([(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files])


def remembered(name: str, key: str, compute: Callable[[], Any]) -> Any:
    """Return the JSON-like value stored under ``key`` in store ``name``, computed when absent.

    A store is a file of lines that only grows, so that many processes may add to it. One that
    cannot be read or written is as good as an empty one: nothing depends on it.
    """
    path = FOLDER.absolute() / f"{name}.jsonl"
    store = _store(path)
    if key not in store.values:
        store.read_on()  # another process may have computed it, after this one was forked even
    if key not in store.values:
        store.values[key] = compute()
        with contextlib.suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            with path.open("a") as file:
                file.write(_line(key, store.values[key]))
    return store.values[key]


def _line(key: str, value: Any) -> str:
    """Return the line of one value: a checksum, then both."""
    text = json.dumps([key, value])
    return f"{crc32(text.encode()):08x} {text}\n"


class _Store:
    """What a file of values holds, as far as it has been read; damaged lines are passed over.

    One that has grown large holds mostly what earlier versions of the code said: it is dropped.
    """

    def __init__(self, path: Path) -> None:
        self.values: dict[str, Any] = {}
        self._path, self._read = path, 0
        if self.read_on() > MOST_LINES:
            self.values = {}
            with contextlib.suppress(OSError):
                path.unlink()

    def read_on(self) -> int:
        """Read the lines that have been added since the last time; return how many."""
        lines: list[bytes] = []
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            if self._read > file.seek(0, os.SEEK_END):  # of another file
                self._read = 0
            file.seek(self._read)
            *lines, unfinished = file.read().split(b"\n")
            self._read = file.tell() - len(unfinished)
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, RecursionError):
                if f"{crc32(line[9:]):08x}".encode() == line[:8]:
                    key, value = json.loads(line[9:])
                    self.values[key] = value
        return len(lines)


_store = cache(_Store)
