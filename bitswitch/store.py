"""Small results that take long to compute, kept on disk between commands."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bitswitch.errors import RunDirectoryError
from bitswitch.records import write_json

FOLDER = Path(".cache")
"""Below the working directory; may be deleted at any time."""


def digest(*content: Any) -> str:
    """Return sixteen hex digits that stand for JSON-like ``content``.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def code_state(module: str) -> str:
    """Return a digest that changes when a file of ``module``'s top-level package is edited.

    Nothing is imported; an absent package has a state too.
    """
    spec = find_spec(module.partition(".")[0])
    if spec is None or spec.origin is None:
        return "absent"
    origin = Path(spec.origin)
    files = sorted(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]
    return digest([(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files])


def remembered(name: str, key: str, compute: Callable[[], Any]) -> Any:
    """Return the JSON-like value stored under ``key`` in store ``name``, computed when absent.

    A store that cannot be read or written is as good as an empty one: nothing depends on it.
    """
    values = _load(str(FOLDER.resolve() / f"{name}.json"))
    if key not in values:
        values[key] = compute()
        with contextlib.suppress(OSError, RunDirectoryError):
            FOLDER.mkdir(exist_ok=True)
            write_json(FOLDER / f"{name}.json", values)
    return values[key]


@cache
def _load(path: str) -> dict[str, Any]:
    try:
        values = json.loads(Path(path).read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
