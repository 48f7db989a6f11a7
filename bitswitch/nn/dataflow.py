"""Which layers of a network see its input, make its output, or never run: found by running it."""

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.errors import BitWidthError
from bitswitch.nn.kinds import weighted_layers
from bitswitch.runtime.randomness import generator

Example = Tensor | Sequence[int]
"""Inputs [n, ...], or the shape of one."""
_SIDES = (*range(32, 0, -1), 64, 224, 256, 384)
"""Of images that are tried on a network that does not say what it takes."""


class FirstLast(NamedTuple):
    """The layers at both ends of a network, by name."""

    first: tuple[str, ...]
    """They see its input through no other layer."""
    last: tuple[str, ...]
    """Their output becomes its output through no other layer."""


NO_ENDS = FirstLast((), ())
"""Of a network all of whose layers are alike."""


class Flow(NamedTuple):
    """How data flows through the layers of a network."""

    ends: FirstLast
    evaluated: frozenset[str]
    """Layers that run in evaluation."""
    trained: frozenset[str]
    """Layers that run in training."""
    borrowed: frozenset[str]
    """Layers whose weight is used by another function than themselves."""
    calls: tuple[str, ...] = ()
    """Layers in the order in which they first ran, in evaluation where they do."""
    layers: Mapping[str, frozenset[str]] = MappingProxyType({})
    """The layers that the input of each layer was made by directly, at its first call."""
    norms: Mapping[str, frozenset[str]] = MappingProxyType({})
    """The same of batch norms, as far as their input is known to come from the network's."""


def trace(net: nn.Module, example: Example | None = None) -> Flow | None:
    """Return how data flows through ``net``, which is left as it is.

    Two examples go through a copy of it, once in evaluation and once in training. Every layer cuts
    the graph that autograd records, so that it leads from a value back to the layers and to the
    input which that value was made of directly.

    Args:
        net: Float network.
        example: Two inputs or more [n, ...], or the shape of one; None: some shapes that networks
            commonly take are tried.

    Returns:
        None where no ``example`` was given and none of the usual ones fits.

    Raises:
        BitWidthError: the network cannot be copied, or does not take ``example``.
    """
    net = _copied(net)
    for tried in _usual(net) if example is None else [example]:
        inputs = inputs_of(tried, 2, next(net.parameters()))
        try:
            return _trace(net, inputs)
        except Exception as error:  # whatever a forward() says of inputs that it does not take
            if example is not None:
                raise BitWidthError(
                    f"{type(net).__name__} does not take inputs of shape "
                    f"{list(inputs.shape[1:])}: {error}"
                ) from error
    return None


def inputs_of(example: Example, count: int, place: Tensor) -> Tensor:
    """Return ``count`` inputs [count, ...] where ``place`` is, noise where a shape is given.

    Args:
        example: So many inputs or more, or the shape of one.
        count: How many are needed.
        place: Floating-point inputs get its type.
    """
    if not isinstance(example, Tensor):
        example = torch.randn(count, *example, generator=generator("trace"))
    inputs = example[:count].to(place.device)
    return inputs.to(place.dtype) if inputs.is_floating_point() else inputs


def _trace(net: nn.Module, inputs: Tensor) -> Flow:
    devices = {p.device for p in net.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(devices)), torch.enable_grad():
        torch.default_generator.manual_seed(0)
        evaluated = _Pass(net.eval(), inputs)
        net.train()
        for module in net.modules():
            if isinstance(module, _BatchNorm):
                module.eval()  # a single pixel has no deviation
        trained = _Pass(net, inputs)
    order = list(weighted_layers(net))
    ends = FirstLast(
        tuple(name for name in order if name in evaluated.first | trained.first),
        tuple(name for name in order if name in evaluated.last | trained.last),
    )
    borrowed = evaluated.borrowed | trained.borrowed
    return Flow(
        ends,
        frozenset(evaluated.layers),
        frozenset(trained.layers),
        frozenset(borrowed),
        tuple({**evaluated.layers, **trained.layers}),
        {**trained.layers, **evaluated.layers},
        {**trained.norms, **evaluated.norms},
    )


def _copied(net: nn.Module) -> nn.Module:
    """Return a copy whose parameters all take part in the graph."""
    try:
        copied = copy.deepcopy(net)
    except RuntimeError as error:
        raise BitWidthError(
            f"{type(net).__name__} cannot be copied: {error}\n  Weights that are computed before "
            f"every call (torch.nn.utils.weight_norm, pruning) must be made permanent first, e.g. "
            f"by torch.nn.utils.remove_weight_norm."
        ) from error
    for parameter in copied.parameters():
        if parameter.is_floating_point():
            parameter.requires_grad_(True)
    return copied


class _Pass:
    """One pass through a network whose layers cut the graph.

    Args:
        net: In the mode of interest.
        inputs: [n, ...].
    """

    def __init__(self, net: nn.Module, inputs: Tensor) -> None:
        self.first: set[str] = set()
        self.layers: dict[str, frozenset[str]] = {}
        self.norms: dict[str, frozenset[str]] = {}
        self._inputs = inputs.clone().requires_grad_(inputs.is_floating_point())
        self._outputs: dict[int, tuple[str, Tensor]] = {}
        layers = weighted_layers(net)
        self._weights = {
            id(layer._parameters["weight"]): name
            for name, layer in layers.items()
            if layer._parameters.get("weight") is not None
        }
        self.borrowed: set[str] = set()
        handles = []
        for name, layer in layers.items():
            handles.append(layer.register_forward_pre_hook(self._before(name), with_kwargs=True))
            handles.append(layer.register_forward_hook(self._after(name)))
        for name, module in net.named_modules():
            if isinstance(module, _BatchNorm):
                handles.append(module.register_forward_pre_hook(self._at_norm(name)))
        try:
            output = net(self._inputs.clone())
        finally:
            for handle in handles:
                handle.remove()
        self.last = self._made_by(self._sources(output))

    def _before(self, name: str) -> Any:
        def note(module: nn.Module, args: Any, kwargs: Any) -> None:
            sources = self._sources((args, kwargs))
            self.layers.setdefault(name, self._made_by(sources))
            traced = self._inputs.requires_grad  # through integers, no graph leads
            if id(self._inputs) in sources if traced else sources.isdisjoint(self._outputs):
                self.first.add(name)

        return note

    def _at_norm(self, name: str) -> Any:
        def note(module: nn.Module, args: Any) -> None:
            sources = {id(leaf) for leaf in _leaves(args)}
            made_by = self._made_by(sources)
            if made_by or id(self._inputs) in sources:
                self.norms.setdefault(name, made_by)

        return note

    def _made_by(self, sources: Collection[int]) -> frozenset[str]:
        """Return the layers whose outputs are among ``sources``."""
        return frozenset(self._outputs[key][0] for key in sources if key in self._outputs)

    def _after(self, name: str) -> Any:
        def cut(module: nn.Module, inputs: Any, output: Any) -> Any:
            return self._cut(name, output)

        return cut

    def _cut(self, name: str, output: Any) -> Any:
        """Return ``output`` with its tensors replaced by ones that come from nowhere."""
        if isinstance(output, tuple):
            return tuple(self._cut(name, part) for part in output)
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return output
        start = output.detach().requires_grad_(True)
        self._outputs[id(start)] = name, start
        return start.clone()  # what follows may change it in place

    def _sources(self, values: Any) -> set[int]:
        """Return the ids of what ``values`` were made of; note weights that were used directly."""
        found = {id(leaf) for leaf in _leaves(values)}
        self.borrowed |= {self._weights[key] for key in found if key in self._weights}
        return found


def _leaves(values: Any) -> Iterator[Tensor]:
    """Yield the tensors at which the graph behind ``values`` begins."""
    open_nodes = [tensor.grad_fn for tensor in _tensors(values) if tensor.grad_fn is not None]
    yield from (tensor for tensor in _tensors(values) if tensor.grad_fn is None)
    seen = set(open_nodes)
    while open_nodes:
        node = open_nodes.pop()
        if hasattr(node, "variable"):
            yield node.variable
        for after, _ in node.next_functions:
            if after is not None and after not in seen:
                seen.add(after)
                open_nodes.append(after)


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        yield from _tensors(tuple(values.values()))
    elif isinstance(values, Iterable) and not isinstance(values, str):
        for value in values:
            yield from _tensors(value)


def _usual(net: nn.Module) -> Iterator[tuple[int, ...]]:
    """Yield shapes of one input that ``net`` may take, the likeliest first."""
    layers = list(weighted_layers(net).values())
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    if layers and isinstance(layers[0], nn.Linear):
        yield (layers[0].in_features,)
    channels = dict.fromkeys([*(c.in_channels for c in convolutions[:1]), 3, 1])
    stated: list[Any] = [m.img_size for m in net.modules() if hasattr(m, "img_size")]
    sides = [side for side in stated if isinstance(side, tuple) and len(side) == 2]
    sides += [(side, side) for side in (*(s for s in stated if isinstance(s, int)), *_SIDES)]
    for count in channels:
        for height, width in dict.fromkeys(sides):
            yield count, height, width
