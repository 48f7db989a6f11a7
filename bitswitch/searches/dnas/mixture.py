"""A network whose layers run at a mixture of bit-widths, with gates that say how much of each."""

from copy import deepcopy
from typing import Literal

import torch
from torch import Tensor, nn

from bitswitch.nn.layers import QuantizedLayer
from bitswitch.nn.model import QuantizedModel
from bitswitch.quant.quantizer import Width
from bitswitch.runtime import transfers
from bitswitch.types import BitSet, LayerBits

MixtureName = Literal["soft", "hard"]
"""``soft``: every layer computes all bit-widths and averages; ``hard``: only the one whose gate is
largest, with the gradient of that gate alone."""


class MixedLayer(nn.Module):
    """A quantized layer whose output is a mixture of those at several bit-widths.

    Args:
        layer: Is taken over.
        bitset: Bit-widths of the gates, in their order.
        kind: What is computed.
    """

    def __init__(self, layer: QuantizedLayer, bitset: BitSet, kind: MixtureName) -> None:
        super().__init__()
        self.layer = layer
        self.bitset = bitset
        self.kind = kind
        self.gates = torch.empty(0)
        """[operands, bit-widths]: of the layer as a whole, or of weights and of inputs."""

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "hard":
            output: Tensor = self.layer(x) * self._gain()
            return output
        if len(self.gates) == 1:
            return torch.stack(
                [
                    gate * self.layer.apply_weight(*self._operands(x, bits))
                    for gate, bits in zip(self.gates[0], self.bitset, strict=True)
                ]
            ).sum(0)
        # A layer is linear in either operand: mixing them is mixing the outputs of all pairs.
        weights, inputs = self.gates.unbind()
        pairs = [self._operands(x, bits) for bits in self.bitset]
        mixed_input = sum(gate * pair[0] for gate, pair in zip(inputs, pairs, strict=True))
        mixed_weight = sum(gate * pair[1] for gate, pair in zip(weights, pairs, strict=True))
        return self.layer.apply_weight(mixed_input, mixed_weight)

    def _gain(self) -> Tensor:
        """Return 1, with the gradient of the largest gate of every operand."""
        largest = self.gates.amax(1)
        return (1 + largest - largest.detach()).prod()

    def _operands(self, x: Tensor, bits: int) -> tuple[Tensor, Tensor]:
        """Return input and weight at ``bits``."""
        layer = self.layer
        layer.switch(bits, bits)
        width = Width.of(bits, layer.weight_switch.bitset)
        inputs: Tensor = layer.activation_quantizer(x, width)
        weight: Tensor = layer.weight_quantizer(layer.weight, width)
        return inputs, weight


class Mixture(nn.Module):
    """A copy of a network that runs at a mixture of bit-widths.

    Batch norms are those of the widest bit-width where layers compute all bit-widths, and follow
    the bit-widths of the layers where they compute one.

    Args:
        model: Is copied.
        bitset: Bit-widths that are mixed.
        tied: Weights and inputs of a layer share their gates.
        kind: What layers compute.

    Source: wu2018mixed (Gumbel-softmax over quantized operators).
    """

    def __init__(
        self, model: QuantizedModel, bitset: BitSet, tied: bool, kind: MixtureName = "soft"
    ) -> None:
        super().__init__()
        self.model = deepcopy(model)
        self.model.switch(max(bitset))
        self.bitset = bitset
        self.kind = kind
        self.mixed = {
            name: MixedLayer(layer, bitset, kind) for name, layer in self.model.layers.items()
        }
        self.trained = list(self.model.other_parameters().values())
        """Parameters of the network, but for quantization scales."""
        for name, layer in self.mixed.items():
            self.model.net.set_submodule(name, layer)
        shape = (len(self.mixed), 1 if tied else 2, len(bitset))
        self.logits = nn.Parameter(torch.zeros(shape, device=self.trained[0].device))
        """theta [layers, operands, bit-widths]."""

    def draw(self, temperature: float, generator: torch.Generator) -> Tensor:
        """Return random gates, the shape of ``logits``; they add up to 1 over bit-widths.

        m = softmax((theta + g) / temperature), g from a Gumbel distribution.

        Args:
            temperature: Positive; the lower, the closer are gates to 0 and 1.
            generator: On the CPU.
        """
        noise = -torch.empty(self.logits.shape).exponential_(generator=generator).log()
        return torch.softmax((self.logits + noise.to(self.logits)) / temperature, -1)

    def forward(self, images: Tensor, gates: Tensor) -> Tensor:
        """Return the logits of the classes for ``images`` at ``gates``."""
        if self.kind == "hard":
            self.model.switch(self._largest(gates))
        for layer, own in zip(self.mixed.values(), gates, strict=True):
            layer.gates = own
        output: Tensor = self.model(images)
        return output

    def probabilities(self) -> Tensor:
        """Return how often each bit-width has the largest gate, the shape of ``logits``."""
        return torch.softmax(self.logits, -1)

    def log_probabilities(self) -> dict[str, Tensor]:
        """Return the logarithm of what every bit-width is worth [2, bit-widths], by layer.

        The first row belongs to weights, the second to inputs; where they share their gates, it
        is zero.
        """
        found = torch.log_softmax(self.logits.detach(), -1)
        if found.shape[1] == 1:
            found = torch.cat([found, torch.zeros_like(found)], 1)
        return dict(zip(self.mixed, torch.tensor(transfers.to_host(found)), strict=True))

    def _largest(self, gates: Tensor) -> dict[str, LayerBits]:
        """Return the policy of the largest gates."""
        largest = transfers.to_host(gates.argmax(-1))
        return {
            name: (self.bitset[places[0]], self.bitset[places[-1]])
            for name, places in zip(self.mixed, largest, strict=True)
        }
