"""Write data files atomically, recognise damage, and say what to do about it."""

import hashlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from bitswitch.errors import DatasetError
from bitswitch.runtime.drafts import new_draft

Arrays = Mapping[str, np.ndarray[Any, Any]]

HASH = "sha256"
"""Name of the array that holds the content hash of the others."""


MADE_UP = "made-up.txt"
"""File in the folder of a dataset that is noise in the format of a real one."""


def advise(problem: str, path: Path, remedy: str) -> DatasetError:
    """Return the error for data at ``path``: what is wrong, where, what to do next."""
    return DatasetError(f"{problem}: {path}\n  {remedy}")


def made_up(folder: Path) -> dict[str, str]:
    """Return what checks and provenance say of data that are noise; of others, nothing."""
    path = folder / MADE_UP
    return {"made_up": path.read_text().strip()} if path.exists() else {}


def carry_mark(source: Path, copy: Path) -> None:
    """Mark ``copy`` as made up where ``source`` is, of which it was made."""
    if (source / MADE_UP).exists():
        shutil.copyfile(source / MADE_UP, copy / MADE_UP)


def prepare_again(name: str) -> str:
    """Return what to do about missing or damaged data of the dataset ``name``."""
    return f"run 'bitswitch data prepare {name}' (with '--suite SUITE' if one sets its options)"


ELSEWHERE = "free some space or choose another data folder (--data)"
"""What to do where data cannot be written."""


def _cannot_write(path: Path, error: OSError, remedy: str = ELSEWHERE) -> DatasetError:
    return advise(f"Cannot write data ({error.strerror or error})", path, remedy)


def replace_atomically(path: Path, write: Callable[[Path], None], remedy: str = ELSEWHERE) -> None:
    """Let ``write`` make a neighbour of ``path``, then move it there in one step.

    Args:
        path: Of the file.
        write: Takes the path of the neighbour.
        remedy: What to do where nothing can be written.

    Raises:
        DatasetError: the file cannot be written (disk full, no permission).
    """
    draft = new_draft(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(draft)
        draft.replace(path)
    except OSError as error:
        raise _cannot_write(path, error, remedy) from error
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


def save_arrays(path: Path, arrays: Arrays, remedy: str = ELSEWHERE) -> None:
    """Write ``arrays`` and their content hash to one ``.npz`` file; see ``replace_atomically``."""
    content: dict[str, Any] = {**arrays, HASH: np.array(content_hash(arrays))}

    def write(draft: Path) -> None:
        with draft.open("wb") as file:
            np.savez(file, allow_pickle=False, **content)

    replace_atomically(path, write, remedy)


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
        raise advise(f"Damaged data ({error})", path, remedy) from error
    recorded = str(arrays.pop(HASH, ""))
    if recorded != content_hash(arrays):
        raise advise("Damaged data (content hash differs)", path, remedy)
    return arrays


def replace_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a neighbour of ``path``, then move it there; what was there goes.

    Raises:
        DatasetError: the folder cannot be written (disk full, no permission).
    """
    draft = new_draft(path)
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        write(draft)
        shutil.rmtree(path, ignore_errors=True)
        draft.rename(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def folder_hash(folder: Path, pattern: str) -> str:
    """Return the SHA-256 of the names and contents of all files that match, in hex."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob(pattern)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)};".encode())
        digest.update(content)
    return digest.hexdigest()
