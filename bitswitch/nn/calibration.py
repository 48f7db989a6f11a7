"""Watch what the layers of a network see, without keeping all of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bitswitch.quant.initial import sampled

_KEPT_PER_BATCH = 2**16


class Observed:
    """A sample of the values one layer saw; extremes are never missed."""

    def __init__(self) -> None:
        self.samples: list[Tensor] = []

    def add(self, x: Tensor) -> None:
        """Keep evenly spaced values of ``x`` [any shape], its smallest and largest among them."""
        self.samples.append(sampled(x.detach().flatten(), _KEPT_PER_BATCH))

    def values(self) -> Tensor:
        """Return what was kept [n]; a single zero when nothing was seen."""
        return torch.cat(self.samples) if self.samples else torch.zeros(1)


@contextmanager
def observe_inputs(layers: Mapping[str, nn.Module]) -> Iterator[dict[str, Observed]]:
    """Collect the inputs of ``layers`` while the ``with`` block runs the network."""
    observed = {name: Observed() for name in layers}

    def watch(name: str) -> Any:
        return lambda module, inputs: observed[name].add(inputs[0])

    handles = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    try:
        yield observed
    finally:
        for handle in handles:
            handle.remove()
