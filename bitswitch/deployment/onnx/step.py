"""A decoder one token at a time: a graph that is given keys and values of the tokens before."""

from collections.abc import Mapping

import onnx
import torch
from torch import Tensor, nn

from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.onnx.export import floats_of, integers_of
from bitswitch.deployment.onnx.graph import Port
from bitswitch.deployment.onnx.program import Program
from bitswitch.deployment.onnx.runtime import Session
from bitswitch.errors import EncodingError
from bitswitch.nn.cache import KeyValueCache, takes_cache
from bitswitch.types import FLOAT_BITS, Policy

PAST, PRESENT = "past", "present"
"""Keys and values of the tokens before, and those of the one that is read: [n, layers * 2 * heads,
tokens, head], first the keys of the first layer, then its values."""
_HEADS, _TOKENS = 1, 2
"""Axes of them."""


class _Past(KeyValueCache):
    """A cache whose tokens are an input of a graph.

    Args:
        past: See ``PAST``.
        places: Of attention layers in it.
    """

    def __init__(self, past: Tensor, places: Mapping[nn.Module, int]) -> None:
        super().__init__()
        self.past, self.places = past, places
        self._parts = past.chunk(2 * len(places), _HEADS)

    def seen(self, layer: nn.Module) -> int:
        return self.past.shape[_TOKENS]

    def extend(self, layer: nn.Module, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        self.kept[layer] = keys, values
        place = 2 * self.places[layer]
        before = self._parts[place], self._parts[place + 1]
        return torch.cat([before[0], keys], _TOKENS), torch.cat([before[1], values], _TOKENS)

    def present(self) -> Tensor:
        """Return what was kept of the tokens that are read."""
        return torch.cat([one for layer in self.places for one in self.kept[layer]], _HEADS)


class _Step(nn.Module):
    """Reads one token."""

    def __init__(self, net: nn.Module, places: Mapping[nn.Module, int]) -> None:
        super().__init__()
        self.net = net
        self.places = places

    def forward(self, tokens: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        cache = _Past(past, self.places)
        logits = self.net(tokens, cache=cache)
        return logits, cache.present()


def step_of(model: IntegerModel) -> Program:
    """Return the network as it reads one token after any number of others.

    Raises:
        EncodingError: it takes no cache, or keeps other things than keys and values of one shape.
    """
    name = model.facts.model.name
    if not takes_cache(model.net):
        raise EncodingError(
            f"Model '{name}' cannot read token by token: its forward() takes no cache.\n"
            f"  See bitswitch.nn.cache; --engine integers reads all tokens again for every new one."
        )
    cache = KeyValueCache()
    model(torch.zeros(1, 1, dtype=torch.int64), cache=cache)
    kept = [torch.stack(pair) for pair in cache.kept.values()]
    if not kept or len({one.shape for one in kept}) > 1:
        raise EncodingError(
            f"Model '{name}' cannot read token by token: the keys and values of its attention "
            f"layers have different shapes."
        )
    _, _, heads, _, head = kept[0].shape
    past = Port(PAST, torch.float32, ("n", 2 * len(kept) * heads, "p", head))
    tokens = Port(model.facts.input.name, torch.int64, ("n", 1))
    places = {layer: place for place, layer in enumerate(cache.kept)}
    return Program(_Step(model.net, places), (tokens, past), (model.facts.output.name, PRESENT))


def step_graph_of(model: IntegerModel, policy: int | Policy) -> onnx.ModelProto:
    """Return one step at ``policy``, or in float32 at 32 bits; see ``export.graph_of``."""
    program = step_of(model)
    if policy == FLOAT_BITS:
        return floats_of(program, model)
    return integers_of(program, model, policy)


class StepSession:
    """Steps of a decoder with onnxruntime.

    Args:
        graph: From ``step_graph_of``.
        threads: That one step uses.
    """

    def __init__(self, graph: onnx.ModelProto, threads: int = 1) -> None:
        self._session = Session(graph, threads)
        past = next(port for port in graph.graph.input if port.name == PAST)
        self._shape = [size.dim_value for size in past.type.tensor_type.shape.dim]

    def nothing(self, count: int = 1) -> Tensor:
        """Return the past of ``count`` texts that have no token yet."""
        _, heads, _, head = self._shape
        return torch.zeros(count, heads, 0, head)

    def __call__(self, tokens: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [n, 1, vocabulary] of one more token each, and the past with it.

        Args:
            tokens: int64 [n, 1].
            past: See ``PAST``.
        """
        logits, present = self._session.run(tokens, past)
        return logits, torch.cat([past, present], _TOKENS)
