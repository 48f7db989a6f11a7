"""The file itself: safetensors with one metadata entry, a size bound and a checksum.

Nothing in it is executed, and nothing is allocated that the file does not hold.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from bitswitch.errors import ArtifactError

KEY = "bitswitch"
"""The metadata entry; safetensors keeps several in no fixed order, so there is one."""
VERSION = 1
"""Of the layout of the file; raised when older programs cannot read newer files."""
MAX_HEADER = 2**21
"""Bytes; the header of ResNet-50 has a twentieth of it."""
_LENGTH = 8
"""Bytes of the header's length, little endian, at the start of the file."""


def encoded(description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """Return the content of a file; the same for the same tensors and description.

    Args:
        description: JSON-like.
        tensors: By name, on the CPU.
    """
    stamped = {
        "version": VERSION,
        "description": description,
        "sha256": checksum(tensors, description),
    }
    kept = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(kept, {KEY: _canonical(stamped)})


def checksum(tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the description, and of all tensors with their names and shapes."""
    total = hashlib.sha256(_canonical(description).encode())
    for name, tensor in sorted(tensors.items()):
        total.update(_canonical([name, str(tensor.dtype), list(tensor.shape)]).encode())
        total.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


def read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the description and the tensors in ``path``.

    Raises:
        ArtifactError: it is missing, damaged, of a newer version, or no such file.
    """
    try:
        with path.open("rb") as file:
            header, content = _read(file, path)
    except OSError as error:
        raise ArtifactError(path, error.strerror or str(error)) from None
    stamped = _stamped(header, path)
    try:
        tensors = safetensors.torch.load(content)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ArtifactError(path, f"its tensors cannot be read: {error}") from None
    description = stamped["description"]
    if stamped["sha256"] != checksum(tensors, description):
        raise ArtifactError(path, "its checksum is wrong: it was damaged or changed")
    return description, tensors


def _read(file: BinaryIO, path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the header and the whole content, once their sizes are known to fit."""
    start = file.read(_LENGTH)
    length = int.from_bytes(start, "little")
    size = path.stat().st_size
    if len(start) < _LENGTH or length > size - _LENGTH:
        raise ArtifactError(path, f"it is truncated, or no safetensors file: it has {size} bytes")
    if length > MAX_HEADER:
        raise ArtifactError(path, f"its header has {length} bytes, more than {MAX_HEADER}")
    header = file.read(length)
    try:
        entries = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name[:2] != "__"]
        expected = _LENGTH + length + max(ends, default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise ArtifactError(path, "its header is no header of safetensors") from None
    if expected != size:
        raise ArtifactError(
            path, f"it is truncated or damaged: it has {size} bytes instead of {expected}"
        )
    return entries, start + header + file.read(size - len(start) - length)


def _stamped(header: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the content of the metadata entry."""
    try:
        stamped = json.loads(header["__metadata__"][KEY])
        version, _ = stamped["version"], (stamped["sha256"], stamped["description"])
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        raise ArtifactError(path, f"it has no metadata '{KEY}': another program wrote it") from None
    if version != VERSION:
        raise ArtifactError(
            path,
            f"it has version {version}; this version of bitswitch reads {VERSION}",
            "Install the version of bitswitch that wrote it, or export the run again.",
        )
    found: dict[str, Any] = stamped
    return found


def _canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))
