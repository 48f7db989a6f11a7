"""Save and load the state of a run: complete, atomic, and without running code from the file."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from bitswitch.errors import CheckpointError
from bitswitch.results.files import write_bytes

NAME = "checkpoint.pt"
FORMAT = 1
"""Raised when older checkpoints can no longer be continued."""


def snapshot_name(epoch: int) -> str:
    """Return the name of the file that keeps the model after ``epoch`` epochs.

    >>> snapshot_name(3)
    'snapshot-3.pt'
    """
    return f"snapshot-{epoch}.pt"


def save(path: Path, run_id: str, state: dict[str, Any]) -> None:
    """Write ``state`` of run ``run_id``; the file holds either the old state or the new one.

    Args:
        path: The checkpoint.
        run_id: Whose state it is.
        state: Tensors, numbers, text, and lists and dicts of them.

    Raises:
        RunDirectoryError: the disk is full or the folder cannot be written.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "run_id": run_id, "state": state}, buffer)
    write_bytes(path, buffer.getvalue())


def load(path: Path, run_id: str, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Return the state that run ``run_id`` saved in ``path``, its tensors on ``device``.

    Raises:
        CheckpointError: the file cannot be read, or is of another run or format.
    """
    try:
        _verify(path)
        content = torch.load(path, map_location=device, weights_only=True)
        if not isinstance(content, dict):
            raise TypeError(f"it holds a {type(content).__name__}")
        found, version, state = content["run_id"], content["format"], content["state"]
    except FileNotFoundError:
        raise CheckpointError(f"There is no checkpoint {path}.") from None
    except _DAMAGE as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"{path} is damaged, or no checkpoint of bitswitch: {reason}\n{start_over(path)}"
        ) from error
    if found != run_id:
        raise CheckpointError(f"{path} is of run '{found}', not '{run_id}'.\n{start_over(path)}")
    if version != FORMAT:
        raise CheckpointError(
            f"{path} has format {version}; this version of bitswitch reads {FORMAT}.\n"
            f"{start_over(path)}"
        )
    loaded: dict[str, Any] = state
    return loaded


_DAMAGE = (
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


def _verify(path: Path) -> None:
    """Compare every part of the file with its checksum; ``torch.load`` does not."""
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
    if broken is not None:
        raise zipfile.BadZipFile(f"checksum of {broken} is wrong")


def start_over(path: Path) -> str:
    """Return what to do about a checkpoint that cannot be used."""
    return f"  To start the run over, delete that file and run again: rm '{path}'"
