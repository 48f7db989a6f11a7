"""Files of weights as training scripts write them: every set of weights in one, by name."""

import argparse
import pickle
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bitswitch.errors import WeightsError

State = Mapping[str, Tensor]

DEPTH = 2
"""Levels of keys below which no weights are looked for."""
_UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError)


def read_sets(path: Path) -> dict[str, State]:
    """Return all sets of tensors in a file of ``torch.save`` or safetensors; runs no code from it.

    Returns:
        Tensors by name, each set by the keys under which it lies, joined by ``/``; those at the
        top are ``.``.

    Raises:
        WeightsError: the file is missing, damaged, or holds no weights by name.
    """
    try:
        content = _read(path)
    except FileNotFoundError:
        raise _absent(path) from None
    except _UNREADABLE as error:
        raise _refusal(path, error) from None
    sets = dict(_sets(content, ()))
    if not sets:
        raise WeightsError(f"{path} holds no weights by name (a state dict).")
    return sets


def read_shapes(path: Path) -> dict[str, Sequence[int]]:
    """Return the shapes of tensors in a safetensors file by name; none of another file.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    if path.suffix != ".safetensors":
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise _absent(path) from None
    except (OSError, SafetensorError) as error:
        raise _refusal(path, error) from None


def _absent(path: Path) -> WeightsError:
    return WeightsError(
        f"There are no weights at {path}.\n  'weights' is 'none', 'imagenet' or the path of a file"
    )


def _read(path: Path) -> Any:
    """Return the content of a file of ``torch.save`` or safetensors."""
    if path.suffix != ".safetensors":
        with torch.serialization.safe_globals(_harmless()):
            return torch.load(path, map_location="cpu", weights_only=True)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _harmless() -> list[Any]:
    """Return what scripts store beside weights that runs no code: arguments, NumPy's numbers."""
    kinds = (np.float64, np.float32, np.int64, np.int32, np.bool_)
    scalar = np.float64(0).__reduce__()[0]
    return [argparse.Namespace, np.dtype, scalar, *kinds, *(type(np.dtype(one)) for one in kinds)]


def _refusal(path: Path, error: Exception) -> WeightsError:
    """Return what to say of a file that cannot be read."""
    try:
        strangers = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (*_UNREADABLE, AttributeError):
        strangers = []
    strangers = [name for name in strangers if name.partition(".")[0] not in ("numpy", "argparse")]
    if strangers:
        return WeightsError(
            f"{path} holds more than weights: {', '.join(sorted(strangers))}. Loading these could "
            f"run code, so it is not done.\n"
            f"  Write the weights alone to a file, where you trust this one: torch.save("
            f"torch.load('{path.name}', weights_only=False)['state_dict'], 'weights.pth')"
        )
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return WeightsError(f"{path} is damaged, or is no file of weights: {reason}")


def _sets(content: Any, keys: tuple[str, ...]) -> Iterator[tuple[str, State]]:
    """Yield all sets of tensors in ``content``, which lies under ``keys``."""
    if not isinstance(content, Mapping):
        return
    tensors = {name: each for name, each in content.items() if isinstance(each, Tensor)}
    if tensors and all(isinstance(name, str) for name in tensors):
        yield "/".join(keys) or ".", tensors
    if len(keys) < DEPTH:
        for name, inner in content.items():
            yield from _sets(inner, (*keys, str(name)))
