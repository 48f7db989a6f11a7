"""Write data files atomically, recognise damage, and say what to do about it."""

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from bitswitch.errors import DatasetError
from bitswitch.types import Strict

Arrays = Mapping[str, np.ndarray[Any, Any]]

HASH = "sha256"
"""Name of the array that holds the content hash of the others."""


def advise(problem: str, path: Path, remedy: str) -> DatasetError:
    """Return the error for data at ``path``: what is wrong, where, what to do next."""
    return DatasetError(f"{problem}: {path}\n  {remedy}")


def replace_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` make a neighbour of ``path``, then move it there in one step.

    Raises:
        DatasetError: the file cannot be written (disk full, no permission).
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(draft)
        draft.replace(path)
    except OSError as error:
        raise advise(
            f"Cannot write data ({error.strerror})",
            path,
            "free some space or choose another data folder",
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def content_hash(arrays: Arrays) -> str:
    """Return the SHA-256 of names, types, shapes and values, in hex."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {value.dtype.str} {value.shape};".encode())
        digest.update(value.data)
    return digest.hexdigest()


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write ``arrays`` and their content hash to one ``.npz`` file, atomically."""
    content: dict[str, Any] = {**arrays, HASH: np.array(content_hash(arrays))}

    def write(draft: Path) -> None:
        with draft.open("wb") as file:
            np.savez(file, allow_pickle=False, **content)

    replace_atomically(path, write)


def load_arrays(path: Path, remedy: str) -> dict[str, np.ndarray[Any, Any]]:
    """Return what ``save_arrays`` wrote.

    Raises:
        DatasetError: the file is missing, truncated or not what was written.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise advise("Data not found", path, remedy) from None
    except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
        raise advise(f"Damaged data ({error})", path, f"delete it, then {remedy}") from error
    recorded = str(arrays.pop(HASH, ""))
    if recorded != content_hash(arrays):
        raise advise("Damaged data (content hash differs)", path, f"delete it, then {remedy}")
    return arrays


def options_hash(options: Strict, version: int) -> str:
    """Return eight hex digits that stand for ``options`` and the ``version`` of what makes data."""
    text = f"{version} {options.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]
