"""DoReFa-Net: tanh-normalised weights, inputs clipped to the unit interval; nothing is learned."""

from typing import ClassVar

from torch import Tensor

from bitswitch.contracts.card import Card
from bitswitch.contracts.method import Method
from bitswitch.quant.clipped import ClippedQuantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.quant.tanh import TanhQuantizer


class DoReFa(Method):
    """One set of float weights, quantized anew at every bit-width."""

    source = "zhou2016dorefa"
    card: ClassVar[Card] = Card(
        title="DoReFa-Net",
        fidelity="vectors",
        storage="floats",
        licence="Apache-2.0",
        left_open="The publication trains one bit-width at a time. With several, each has its own "
        "batch norms and all gradients are summed. It has no recipe for these networks.",
        deviations="Gradients are not quantized. Inputs that are negative somewhere are clipped "
        "to [-1, 1] instead of [0, 1], on the grid of the code of AdaBits.",
    )

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return TanhQuantizer("original")

    def activation_quantizer(self) -> Quantizer:
        return ClippedQuantizer()
