"""What of a network becomes one graph: which inputs it has, and which sizes of them stay open."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.onnx.graph import Port

OPEN = (2, 3)
"""Two sizes that stand for one which stays open."""


class Program(NamedTuple):
    """A network, and what goes in and comes out."""

    net: nn.Module
    """With integer layers."""
    inputs: tuple[Port, ...]
    """In the order of ``forward``."""
    outputs: tuple[str, ...]
    """Names, in the order in which ``forward`` returns them."""

    @property
    def examples(self) -> list[Sequence[Tensor]]:
        """Two lists of inputs, which differ in the sizes that stay open."""
        device = next(iter(self.net.state_dict().values())).device
        return [
            [
                torch.zeros(
                    [open_size if isinstance(size, str) else size for size in port.shape],
                    dtype=port.dtype,
                    device=device,
                )
                for port in self.inputs
            ]
            for open_size in OPEN
        ]


def whole(model: IntegerModel) -> Program:
    """Return the network as it is: any number of examples of the shape that its file names."""
    inputs, outputs = model.facts.input, model.facts.output
    port = Port(inputs.name, inputs.zeros(0).dtype, ("n", *inputs.shape))
    return Program(model.net, (port,), (outputs.name,))
