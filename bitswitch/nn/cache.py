"""Keys and values of tokens that a decoder has read, so that it reads each of them once."""

import inspect

import torch
from torch import Tensor, nn

ARGUMENT = "cache"
"""Of a network's ``forward``, beside tokens; a network without it reads all tokens every time."""
_PLACES = 2
"""Axis of keys and values [n, heads, t, head] that has a place for every token."""


class KeyValueCache:
    """What the attention layers of a decoder keep of a text; a new text gets a new one.

    Keys and values stay as they were computed: where the bit-width changes between tokens, those of
    a token are of the bit-width at which it was read.
    """

    def __init__(self) -> None:
        self.kept: dict[nn.Module, tuple[Tensor, Tensor]] = {}
        """Keys and values by attention layer, in the order in which they were first asked for."""

    def seen(self, layer: nn.Module) -> int:
        """Return how many tokens ``layer`` has read."""
        return self.kept[layer][0].shape[_PLACES] if layer in self.kept else 0

    def extend(self, layer: nn.Module, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values of all tokens so far, once those of more are kept.

        Args:
            layer: Attention.
            keys: Of the tokens that are read now, [n, heads, t, head].
            values: The same.
        """
        if layer in self.kept:
            pairs = zip(self.kept[layer], (keys, values), strict=True)
            keys, values = (torch.cat(pair, _PLACES) for pair in pairs)
        self.kept[layer] = keys, values
        return keys, values


def takes_cache(net: nn.Module) -> bool:
    """Return whether ``net`` can be given a cache."""
    return ARGUMENT in inspect.signature(net.forward).parameters
