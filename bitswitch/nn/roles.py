"""Which layers of a network are quantized, which stay float, and which cannot be either."""

import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

from torch import nn

from bitswitch.errors import BitWidthError, hint
from bitswitch.nn.dataflow import NO_ENDS, Example, FirstLast, Flow, trace
from bitswitch.nn.kinds import FLOAT_KINDS, weighted_layers
from bitswitch.nn.layers import QuantizedLayer
from bitswitch.types import FLOAT_BITS

Role = Literal["inner", "first", "last", "kept", "idle"]
"""``inner`` layers are quantized; what becomes of ``first`` and ``last`` ones, the method says;
``kept`` ones stay float; nothing calls ``idle`` ones."""
NAMED = 3
"""Layers of a kind that a message names."""


class Roles(NamedTuple):
    """What becomes of the layers of a network."""

    layers: dict[str, Role]
    """Of all layers with weights, by name, in registration order."""
    ends: FirstLast
    flow: Flow | None
    """How data flows through the network; None: no input that was tried fits it."""


def roles(
    net: nn.Module,
    keep: Collection[str],
    ends: FirstLast | None,
    example: Example | None,
    pinned: bool,
) -> Roles:
    """Return what becomes of the layers of the float network ``net``.

    Args:
        net: It is not changed.
        keep: Names or patterns of layers that stay float.
        ends: First and last layers; None: they are traced.
        example: Two inputs or more [n, ...], or the shape of one; None: some shapes that networks
            commonly take are tried.
        pinned: Whether first and last layers are quantized too, at bit-widths of their own.

    Raises:
        BitWidthError: a name that no layer has, or layers that cannot be quantized.
    """
    layers = weighted_layers(net)
    if again := [name for name, layer in layers.items() if isinstance(layer, QuantizedLayer)]:
        raise BitWidthError(
            f"{type(net).__name__} is quantized already: {_listed(again)}.\n  quantize() takes a "
            f"float network; switch this one by its at() or switch()."
        )
    kept = named(keep, layers, "keep")
    flow = trace(net, example) if layers else None
    if not layers:
        ends = NO_ENDS
    if ends is None:
        if flow is None:
            raise BitWidthError(
                f"No input that networks commonly take fits {type(net).__name__}, so that its "
                f"first and last layers cannot be found.\n  Say which shape one input has: "
                f"quantize(net, method, example=(3, 32, 32)); or which layers they are: ends="
            )
        ends = flow.ends
    named([*ends.first, *ends.last], layers, "ends")
    found: dict[str, Role] = {
        name: _role(name, layer, kept, ends, flow) for name, layer in layers.items()
    }
    taken = ("inner", "first", "last") if pinned else ("inner",)
    wanted = [name for name, role in found.items() if role in taken]
    _refuse({name: why for name in wanted for why in _faults(name, layers[name], flow)}, layers)
    if "inner" not in found.values():
        raise BitWidthError(
            f"{type(net).__name__} has no layer to quantize: of its {len(layers)} layers with "
            f"weights, first ({_listed(ends.first)}), last ({_listed(ends.last)}) and kept ones "
            f"stay as they are.\n  Quantized are nn.Conv2d and nn.Linear between them."
        )
    _say_float({name: m for name, m in layers.items() if _is_float(m) and name not in kept})
    return Roles(found, ends, flow)


def _is_float(layer: nn.Module) -> bool:
    return isinstance(layer, FLOAT_KINDS) and not isinstance(layer, nn.Conv2d)


def _say_float(layers: Mapping[str, nn.Module]) -> None:
    """Warn of ``layers`` that nobody named and no method quantizes.

    Not of embeddings: they multiply nothing.
    """
    layers = {name: layer for name, layer in layers.items() if type(layer) is not nn.Embedding}
    kinds = dict.fromkeys(type(layer).__name__ for layer in layers.values())
    if kinds:
        warnings.warn(
            f"Layers of these kinds stay at full precision, and count at {FLOAT_BITS} bits: "
            f"{', '.join(kinds)} ({_listed(list(layers))}). Name them in 'keep' to silence this.",
            stacklevel=4,
        )


def named(patterns: Collection[str], layers: Mapping[str, nn.Module], said_by: str) -> set[str]:
    """Return the layers that ``patterns`` name; ``said_by`` is the argument that they come from."""
    found: set[str] = set()
    for pattern in patterns:
        matching = {name for name in layers if name == pattern or fnmatchcase(name, pattern)}
        if not matching:
            raise BitWidthError(
                f"'{said_by}' names '{pattern}': the network has no such layer with weights."
                f"{hint(pattern, layers)}\n  layers: {', '.join(layers)}"
            )
        found |= matching
    return found


def _role(name: str, layer: nn.Module, kept: set[str], ends: FirstLast, flow: Flow | None) -> Role:
    if flow is not None and name not in flow.evaluated | flow.trained | flow.borrowed:
        return "idle"
    if name in kept or _is_float(layer):
        return "kept"
    if name in ends.first:
        return "first"
    return "last" if name in ends.last else "inner"


def _faults(name: str, layer: nn.Module, flow: Flow | None) -> Iterator[str]:
    """Yield why ``layer`` cannot be quantized."""
    if type(layer) not in (nn.Conv2d, nn.Linear):
        yield f"{type(layer).__name__} computes something of its own"
    elif "weight" not in layer._parameters or layer._forward_pre_hooks or layer._forward_hooks:
        yield "its weight or what it returns is computed by a hook"
    elif flow is not None and name in flow.borrowed:
        yield (
            "its weight is used by another function, such as F.linear(x, layer.weight), which no "
            "bit-width reaches"
        )
    elif flow is not None and name not in flow.evaluated:
        yield "it runs in training alone, where nothing calibrates it"


def _refuse(faults: Mapping[str, str], layers: Collection[str]) -> None:
    """Raise if there are ``faults`` of some of the ``layers``."""
    if not faults:
        return
    lines = []
    for fault in dict.fromkeys(faults.values()):
        names = [name for name, one in faults.items() if one == fault]
        lines.append(f"  {_listed(names)}: {fault}")
    shown = ", ".join(f'"{pattern}"' for pattern in _patterns(faults, layers))
    raise BitWidthError(
        "These layers cannot be quantized:\n"
        + "\n".join(lines)
        + "\n  Name them in 'keep', a key of the network in a suite and an argument of quantize(), "
        f"to leave them at full precision:\n  keep: [{shown}]"
    )


def _listed(names: Sequence[str]) -> str:
    """Return the first few of ``names``, and how many there are besides."""
    shown = ", ".join(f"'{name}'" for name in names[:NAMED]) or "none"
    rest = len(names) - NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown


def _patterns(names: Collection[str], layers: Collection[str]) -> list[str]:
    """Return patterns for ``names`` alone of all ``layers``: numbers of blocks become stars."""
    found: dict[str, None] = {}
    for name in names:
        pattern = re.sub(r"(?<=\.)\d+(?=\.)", "*", name)
        others = [layer for layer in layers if layer not in names and fnmatchcase(layer, pattern)]
        found[name if others else pattern] = None
    return list(found)
