"""Pretrained weights: published ones where they can be reached, or a local file."""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bitswitch.errors import WeightsError
from bitswitch.types import Strict

PREFIX = "module."
"""What data-parallel training puts before every name."""
WRAPPERS = ("state_dict", "model")
"""Keys under which training scripts store the weights."""
SHOWN = 3
"""Names that a message lists at most."""

State = Mapping[str, Tensor]


class WeightOptions(Strict):
    """Where the initial weights come from."""

    weights: str = "none"
    """``none``: random; ``imagenet``: published ones, downloaded once; else the path of a file.
    A classifier for another number of classes is left out and starts at random."""


def load_weights(net: nn.Module, weights: str, published: Callable[[], State], url: str) -> None:
    """Load what the option ``weights`` says into ``net``.

    Args:
        net: Network with random weights.
        weights: ``none``, ``imagenet`` or a path.
        published: Downloads the published weights.
        url: Where they are, for the message when they cannot be reached.

    Raises:
        WeightsError: weights that cannot be had or do not fit.
    """
    if weights == "none":
        return
    if weights != "imagenet":
        adapt(net, read_file(Path(weights)), weights)
        return
    try:
        state = published()
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(
            f"The published weights cannot be downloaded: {reason}\n"
            f"  fetch this file where there is a network: {url}\n"
            f"  and set the model's option 'weights' to its path"
        ) from error
    adapt(net, state, url)


def read_file(path: Path) -> State:
    """Return the weights in a file of ``torch.save`` or safetensors; runs no code from it.

    Raises:
        WeightsError: the file is missing, damaged, or holds something else.
    """
    try:
        content = _read(path)
    except FileNotFoundError:
        raise WeightsError(
            f"There are no weights at {path}.\n"
            f"  'weights' is 'none', 'imagenet' or the path of a file"
        ) from None
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise WeightsError(
            f"{path} is damaged, or holds more than weights: {str(error).splitlines()[0]}"
        ) from None
    return _unwrap(content, path)


def _read(path: Path) -> Any:
    """Return the content of a file of ``torch.save`` or safetensors."""
    if path.suffix != ".safetensors":
        return torch.load(path, map_location="cpu", weights_only=True)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _unwrap(content: Any, path: Path) -> State:
    """Return the mapping of names to tensors in ``content``."""
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(x, Tensor) for x in content.values()):
        raise WeightsError(f"{path} holds no weights by name (a state dict).")
    return {str(name).removeprefix(PREFIX): value for name, value in content.items()}


def adapt(net: nn.Module, state: State, where: str) -> None:
    """Load ``state`` into ``net``; a classifier of another size keeps its random weights.

    Raises:
        WeightsError: names or shapes differ anywhere else.
    """
    own = net.state_dict()
    misfits = {name for name in own.keys() & state.keys() if own[name].shape != state[name].shape}
    head = _classifier(net)
    skipped = head if misfits and misfits <= head else set()
    fitting = {name: state[name] for name in state if name not in misfits | skipped}
    answer = net.load_state_dict(fitting, strict=False)
    problems = [
        *(f"no {name}" for name in answer.missing_keys if name not in misfits | skipped),
        *(f"unknown {name}" for name in answer.unexpected_keys),
        *(f"{name} of another shape" for name in sorted(misfits - skipped)),
    ]
    if problems:
        more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise WeightsError(
            f"The weights do not fit {type(net).__name__}: {', '.join(problems[:SHOWN])}{more}\n"
            f"  weights: {where}"
        )


def _classifier(net: nn.Module) -> set[str]:
    """Return the names of the parameters of the last linear layer."""
    linear = [name for name, module in net.named_modules() if isinstance(module, nn.Linear)]
    return {f"{name}.{part}" for name in linear[-1:] for part in ("weight", "bias")}
