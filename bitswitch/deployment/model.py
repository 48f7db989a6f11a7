"""The integer model: switched by one assignment, read by any number of threads."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bitswitch.deployment.description import NORM_KINDS, Description
from bitswitch.deployment.layers import FoldedBatchNorm, IntegerLayer
from bitswitch.deployment.neighbours import Neighbours
from bitswitch.deployment.snapshot import REQUEST, Observer, Operands, Request, Snapshot
from bitswitch.deployment.stored import Bound, Scales, StoredLayer
from bitswitch.nn.order import Followed, by_names
from bitswitch.nn.policy import resolve
from bitswitch.types import BitSet, Policy


class Storage(NamedTuple):
    """Bytes in memory."""

    codes: int
    """Of quantized layers at the widest bit-width: a byte per weight."""
    narrow: int
    """Of narrower codes: of the policy in use, and those that are kept."""
    scales: int
    """Of weights and inputs."""
    rest: int
    """Float layers, biases, folded batch norms."""


class IntegerModel:
    """A network of integers that runs at every bit-width of its bit set; see ``load``.

    Args:
        net: With integer layers and folded batch norms; in evaluation mode.
        facts: What the file says.
        scales: Of every quantized layer, by name.
        keep_narrow: Keep the codes of every bit-width once it was used: switching back costs
            nothing, memory one more byte per weight and bit-width.
    """

    def __init__(
        self,
        net: nn.Module,
        facts: Description,
        scales: Mapping[str, Scales],
        keep_narrow: bool = False,
    ) -> None:
        self.net = net
        self.facts = facts
        by_name = {layer.name: layer for layer in facts.layers}
        self._kinds = {norm.name: NORM_KINDS[norm.kind] for norm in facts.norms}
        self._parts: list[StoredLayer | FoldedBatchNorm] = []
        for name, module in net.named_modules():
            if isinstance(module, IntegerLayer):
                stored = StoredLayer(by_name[name], module, scales[name], keep_narrow)
                self._parts.append(stored)
            elif isinstance(module, FoldedBatchNorm):
                self._parts.append(module)
        self._followed = self._order()
        # Kept codes are made layer by layer: those that are there already are not made again.
        self._together = Neighbours(self._stored) if self._stored and not keep_narrow else None
        self._snapshot = self.snapshot(facts.bitset[0])

    @property
    def bitset(self) -> BitSet:
        """Bit-widths, widest first."""
        return self.facts.bitset

    @property
    def layers(self) -> list[str]:
        """Layers whose bit-width a policy sets, in registration order."""
        return [layer.name for layer in self.facts.layers if layer.pinned is None]

    @property
    def policy(self) -> int | Policy:
        """What this thread's next request runs at."""
        return self._current.policy

    def __call__(self, inputs: Tensor, observe: Observer | None = None, **more: Any) -> Tensor:
        """Return logits float32, [n, classes] of images, [n, t, vocabulary] of tokens.

        Args:
            inputs: As in training: images [n, channels, height, width] normalised, tokens [n, t].
            observe: Is shown the codes and accumulators of every quantized layer.
            more: What the network takes beside its inputs.
        """
        token = REQUEST.set(Request(self._current, observe))  # taken once: no mix of two policies
        try:
            with torch.no_grad():
                logits: Tensor = self.net(inputs, **more)
        finally:
            REQUEST.reset(token)
        return logits

    def switch(self, policy: int | Policy) -> None:
        """Run at ``policy`` from now on: one bit-width, or one (or a pair) for every layer.

        Requests in progress end at the bit-widths that they began with.

        Raises:
            BitWidthError: an unknown bit-width or layer, or a layer that is missing.
        """
        self._snapshot = self.snapshot(policy)

    @contextmanager
    def at(self, policy: int | Policy) -> Iterator["IntegerModel"]:
        """Run at ``policy`` inside the ``with`` block, in this thread alone.

        Raises:
            BitWidthError: as ``switch``.
        """
        token = _LOCAL.set({**_LOCAL.get(), id(self): self.snapshot(policy)})
        try:
            yield self
        finally:
            _LOCAL.reset(token)

    @property
    def _current(self) -> Snapshot:
        return _LOCAL.get().get(id(self), self._snapshot)

    def snapshot(self, policy: int | Policy) -> Snapshot:
        """Return all integers and scales of ``policy``; those in use are not changed.

        Raises:
            BitWidthError: as ``switch``.
        """
        chosen = resolve(policy, self.layers, self.bitset, has_float=False)
        default = self.bitset[0] if isinstance(policy, Mapping) else int(policy)
        first = next(iter(chosen.values()), (default, default))
        bits = {one.facts.name: one.facts.bits(chosen) for one in self._stored}
        codes = self._narrowed(bits)
        layers: dict[str, Operands] = {}
        norms: dict[str, tuple[Tensor, Tensor]] = {}
        for part in self._parts:
            if isinstance(part, FoldedBatchNorm):
                here, before = self._followed[part.name].bits(chosen, first)
                norms[part.name] = part.of(self._kinds[part.name].key(here, before))
            else:
                name = part.facts.name
                layers[name] = part.at(bits[name], codes.get(name))
        kept = dict(policy) if isinstance(policy, Mapping) else int(policy)
        return Snapshot(kept, MappingProxyType(layers), MappingProxyType(norms))

    def _order(self) -> dict[str, Followed]:
        """Return the layers that each batch norm follows, as ``QuantizedModel.followed``."""
        names = [p.name if isinstance(p, FoldedBatchNorm) else p.facts.name for p in self._parts]
        stated = {norm.name: norm.follows for norm in self.facts.norms if norm.follows is not None}
        return by_names(names, self.layers) | stated

    def _narrowed(self, bits: Mapping[str, tuple[int, int]]) -> Mapping[str, Tensor]:
        """Return codes by layer, as far as they are made for all layers at once."""
        if self._together is None:
            return {}
        return self._together.narrowed({name: weight for name, (weight, _) in bits.items()})

    def bounds(self) -> dict[str, Bound]:
        """Return the worst case of the accumulators of every layer whose input is quantized."""
        found = {layer.facts.name: layer.bound() for layer in self._stored}
        return {name: bound for name, bound in found.items() if bound is not None}

    def storage(self) -> Storage:
        """Return the bytes that the model holds."""
        codes = sum(_bytes(layer.layer.codes) for layer in self._stored)
        narrow = {
            id(values): _bytes(values)
            for layer in self._stored
            for values in (self._snapshot.layers[layer.facts.name].codes, *layer.kept.values())
            if values is not layer.layer.codes
        }
        scales = [t for layer in self._stored for t in layer.scales if t is not None]
        rest = sum(map(_bytes, self.net.state_dict().values())) - codes
        return Storage(codes, sum(narrow.values()), sum(map(_bytes, scales)), rest)

    @property
    def _stored(self) -> list[StoredLayer]:
        return [part for part in self._parts if isinstance(part, StoredLayer)]


_LOCAL: ContextVar[Mapping[int, Snapshot]] = ContextVar("local", default=MappingProxyType({}))
"""Snapshots of this thread or task, by model."""


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
