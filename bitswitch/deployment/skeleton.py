"""The network that a file names, without weights: which tensors it needs, and of what shape."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from bitswitch.contracts.data import Model
from bitswitch.deployment.description import (
    CODES,
    INPUT_SCALE,
    INPUT_ZERO_POINT,
    MULTIPLIER,
    NORM_KINDS,
    SCALE,
    SHIFT,
    ZERO_POINT,
    Description,
    LayerFacts,
)
from bitswitch.deployment.packing import BYTE, packed_size
from bitswitch.errors import BitswitchError, hint
from bitswitch.models.weights import WeightOptions
from bitswitch.nn.unfilled import Unfilled
from bitswitch.plugins import registry

Form = tuple[torch.dtype, tuple[int, ...]]


@dataclass(frozen=True)
class Skeleton:
    """A network on the meta device, and its parts that the file replaces."""

    facts: Description
    net: nn.Module
    layers: Mapping[str, nn.Conv2d | nn.Linear]
    """Quantized ones by name."""
    norms: Mapping[str, _BatchNorm]
    """By the name that the file has for them."""
    places: Mapping[str, str]
    """Where they are in ``net``: a fused activation moves a batch norm one level down."""
    floats: Mapping[str, Form]
    """What stays as it is, by name."""

    @classmethod
    def of(cls, facts: Description) -> Self:
        """Return the network of ``facts``; no memory is needed for its tensors.

        Raises:
            ValueError: it cannot be built, or lacks a layer or batch norm.
        """
        with torch.device("meta"), Unfilled():
            net = build(facts)
        modules = dict(net.named_modules())
        layers = {layer.name: _layer(modules, layer.name) for layer in facts.layers}
        if list(layers) != [name for name in modules if name in layers]:
            raise ValueError("its layers are not in the order of the network")
        places = {norm.name: _place(modules, norm.name) for norm in facts.norms}
        norms = {name: modules[place] for name, place in places.items()}
        known = set(places.values())
        for name, module in modules.items():
            if isinstance(module, _BatchNorm) and name not in known:
                raise ValueError(f"batch norm '{name}' is missing in its description")
        again = _again(net, [*layers.values(), *norms.values()])
        folded = (*(f"{place}." for place in [*known, *again]), "\0")
        weights = {f"{name}.weight" for name in layers}
        floats = {
            name: (value.dtype, tuple(value.shape))
            for name, value in net.state_dict().items()
            if name not in weights and not name.startswith(folded)
        }
        return cls(facts, net, layers, norms, places, floats)  # type: ignore[arg-type]

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Compare the names, types and shapes of ``tensors`` with those that are needed.

        Raises:
            ValueError: one is missing, of another form, or not needed.
        """
        needed = dict(self._needed(tensors))
        for name, (dtype, shape) in needed.items():
            if name not in tensors:
                raise ValueError(f"tensor '{name}' is missing.{hint(name, tensors)}")
            found = tensors[name]
            if (found.dtype, tuple(found.shape)) != (dtype, shape):
                raise ValueError(
                    f"tensor '{name}' is {found.dtype} {list(found.shape)} instead of "
                    f"{dtype} {list(shape)}"
                )
        extra = [name for name in tensors if name not in needed]
        if extra:
            raise ValueError(f"it has a tensor '{extra[0]}' that the network has no place for")

    def put(self, name: str, part: nn.Module) -> None:
        """Put ``part`` in the place of the module ``name``, under all names that it has."""
        replaced = self.net.get_submodule(name)
        modules = list(self.net.named_modules(remove_duplicate=False))
        for place in [place for place, module in modules if module is replaced]:
            self.net.set_submodule(place, part)

    def restore_unsaved(self) -> None:
        """Give tensors that no state dict holds the values that the plugin computes for them."""
        lost = [name for name, value in _tensors(self.net) if value.is_meta]
        if not lost:
            return
        whole = _unsaved(self.facts, lost)
        for name in lost:
            parent, _, last = name.rpartition(".")
            setattr(self.net.get_submodule(parent), last, whole[name])

    def _needed(self, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Form]]:
        """Yield what the network needs; of the forms that are allowed, the one that is there."""
        yield from self.floats.items()
        for facts in self.facts.layers:
            yield from _of_layer(facts, self.layers[facts.name], tensors)
        for norm in self.facts.norms:
            copies = len(NORM_KINDS[norm.kind].keys(self.facts.bitset))
            form = torch.float32, (copies, self.norms[norm.name].num_features)
            yield f"{norm.name}.{MULTIPLIER}", form
            yield f"{norm.name}.{SHIFT}", form


def _of_layer(
    facts: LayerFacts, layer: nn.Conv2d | nn.Linear, tensors: Mapping[str, Tensor]
) -> Iterator[tuple[str, Form]]:
    """Yield the tensors of one quantized layer."""
    shape, bits, widths = tuple(layer.weight.shape), facts.widths[0], len(facts.widths)
    size = packed_size(math.prod(shape), bits)
    codes = (torch.int8, shape) if bits == BYTE else (torch.uint8, (size,))
    yield f"{facts.name}.{CODES}", codes
    scale, zero_point = f"{facts.name}.{SCALE}", f"{facts.name}.{ZERO_POINT}"
    found = tuple(tensors[scale].shape) if scale in tensors else ()
    sharing = _shared_by(shape, found[1:])
    yield scale, (torch.float32, (_rows(found, widths), *sharing))
    if zero_point in tensors:
        rows = _rows(tuple(tensors[zero_point].shape), widths)
        yield zero_point, (torch.float32, (rows, *sharing))
    if facts.input_granularity == "per-token" and not isinstance(layer, nn.Linear):
        raise ValueError(f"layer '{facts.name}' is a convolution, whose input has no tokens")
    if facts.signed is not None and facts.input_granularity == "per-tensor":
        yield f"{facts.name}.{INPUT_SCALE}", (torch.float32, (widths,))
        if f"{facts.name}.{INPUT_ZERO_POINT}" in tensors:
            yield f"{facts.name}.{INPUT_ZERO_POINT}", (torch.float32, (widths,))


def _rows(found: tuple[int, ...], widths: int) -> int:
    """Return how many rows scales have: one for all bit-widths if there is one."""
    return 1 if found[:1] == (1,) else widths


def _shared_by(shape: tuple[int, ...], found: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of scales at one bit-width: that which is there, if weights can have it."""
    out, inputs = shape[:2]
    by_group = len(found) == 2 and found[0] == out and found[1] > 0 and inputs % found[1] == 0
    return found if by_group or found == (out,) else (1,)


def build(facts: Description) -> nn.Module:
    """Return the float network of ``facts`` as its plugin initialises it, nothing downloaded.

    Raises:
        ValueError: no installed plugin can build it.
    """
    choice = facts.model
    try:
        plugin: Model = registry.create("models", choice.name, choice.options)
        if isinstance(plugin.options, WeightOptions):
            plugin.options = plugin.options.model_copy(update={"weights": "none"})
        return plugin.build(facts.classes, seed=0)
    except BitswitchError as error:
        raise ValueError(f"its network cannot be built: {error}") from None
    except Exception as error:
        raise ValueError(
            f"its network cannot be built by model '{choice.name}': {type(error).__name__}: {error}"
        ) from error


def _unsaved(facts: Description, names: Collection[str]) -> Mapping[str, Tensor]:
    """Return the tensors of the float network of ``facts``, those called ``names`` with values.

    Tables of positions, say, are computed while it is built. So it is built without its weights,
    which take long and much memory, or else as it is.
    """
    try:
        with _WithoutWeights():
            found = dict(_tensors(build(facts)))
    except ValueError:  # it computes something with a weight
        return dict(_tensors(build(facts)))
    if any(found[name].is_meta for name in names):
        return dict(_tensors(build(facts)))
    return found


class _WithoutWeights(TorchFunctionMode):
    """Gives no memory to tensors that are made empty, as weights are before they are drawn."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        more = {"device": "meta"} if func is torch.empty else {}
        return func(*args, **{**(kwargs or {}), **more})


def _layer(modules: Mapping[str, nn.Module], name: str) -> nn.Module:
    """Return the convolution or linear layer ``name``."""
    found = modules.get(name)
    if type(found) not in (nn.Conv2d, nn.Linear):
        raise ValueError(f"the network has no layer '{name}' to quantize.{hint(name, modules)}")
    assert found is not None
    return found


def _place(modules: Mapping[str, nn.Module], name: str) -> str:
    """Return where the batch norm is that the file calls ``name``."""
    for place in (name, name.removesuffix(".0")):
        if isinstance(modules.get(place), _BatchNorm):
            return place
    raise ValueError(f"the network has no batch norm '{name}'.{hint(name, modules)}")


def _again(net: nn.Module, parts: Iterable[nn.Module]) -> Iterator[str]:
    """Yield the names under which ``parts`` are met again."""
    first, known = set(dict(net.named_modules())), set(parts)
    for name, module in net.named_modules(remove_duplicate=False):
        if module in known and name not in first:
            yield name


def _tensors(net: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from net.named_parameters()
    yield from net.named_buffers()
