"""Convolution and linear layers that quantize their weight and their input."""

from torch import Tensor, nn

from bitswitch.nn.kinds import shape_of
from bitswitch.nn.recompute import quantized_again_in_backward, quantized_input
from bitswitch.nn.switch import BitSwitch
from bitswitch.quant import per_bit
from bitswitch.quant.quantizer import Quantizer
from bitswitch.quant.unquantized import Unquantized
from bitswitch.types import FLOAT_BITS, BitSet


class QuantizedLayer(nn.Module):
    """What quantized layers share; the float layer's parameters are taken over, not copied."""

    weight: Tensor
    bias: Tensor | None
    weight_quantizer: Quantizer
    activation_quantizer: Quantizer
    pinned: tuple[int, int] | None = None
    """Bit-widths that no policy changes; None: they are switchable."""

    def _take_over(
        self, layer: nn.Conv2d | nn.Linear, weight: Quantizer, activation: Quantizer, bitset: BitSet
    ) -> None:
        self.weight = layer.weight
        self.bias = layer.bias
        device = layer.weight.device
        self.weight_quantizer = weight.to(device)
        self.activation_quantizer = activation.to(device)
        self.weight_switch = BitSwitch(bitset).to(device)
        self.activation_switch = BitSwitch(bitset).to(device)
        self.train(layer.training)

    @property
    def float_input(self) -> bool:
        """Whether the input is never quantized, whatever the bit-width."""
        return isinstance(self.activation_quantizer, Unquantized)

    @property
    def quantizers(self) -> dict[str, Quantizer]:
        """Quantizers by operand, of those that are quantized."""
        weight = {"weight": self.weight_quantizer}
        return weight if self.float_input else {**weight, "activation": self.activation_quantizer}

    def switch(self, weight: int, activation: int) -> None:
        """Use these bit-widths from now on; ``FLOAT_BITS`` leaves an operand as it is.

        That of an input which is never quantized does not matter.
        """
        activation = FLOAT_BITS if self.float_input else activation
        self.weight_switch.switch(weight)
        self.activation_switch.switch(activation)
        chosen = {"weight": weight, "activation": activation}
        for operand, quantizer in self.quantizers.items():
            if chosen[operand] != FLOAT_BITS:
                per_bit.switch(quantizer, chosen[operand])

    def inactive_parameters(self) -> list[nn.Parameter]:
        """Return quantizer parameters that the bit-widths in use do not touch."""
        return [
            *_unused(self.weight_quantizer, self.weight_switch),
            *_unused(self.activation_quantizer, self.activation_switch),
        ]

    def forward(self, x: Tensor) -> Tensor:
        width = self.weight_switch.width
        weight = self.weight if width is None else self.weight_quantizer(self.weight, width)
        width = self.activation_switch.width
        if width is None:
            return self.apply_weight(x, weight)
        quantized = quantized_input(self.activation_quantizer, x, width)
        with quantized_again_in_backward(self.activation_quantizer, x, width, quantized):
            return self.apply_weight(quantized, weight)

    def apply_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the layer's output for input ``x`` and ``weight`` as they are."""
        raise NotImplementedError


class QuantizedConv2d(QuantizedLayer, nn.Conv2d):
    """A convolution whose weight [out, in / groups, kh, kw] and input [n, in, h, w] are quantized.

    Args:
        conv: The float layer; groups, stride, dilation, padding, its mode and bias are kept.
        weight: Quantizer of its weight.
        activation: Quantizer of its input.
        bitset: Bit-widths it runs at.
    """

    def __init__(
        self, conv: nn.Conv2d, weight: Quantizer, activation: Quantizer, bitset: BitSet
    ) -> None:
        nn.Conv2d.__init__(self, **shape_of(conv))
        self._take_over(conv, weight, activation, bitset)

    def apply_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        output: Tensor = self._conv_forward(x, weight, self.bias)
        return output


class QuantizedLinear(QuantizedLayer, nn.Linear):  # type: ignore[misc]
    """A linear layer whose weight [out, in] and input [..., in] are quantized.

    Args:
        linear: The float layer.
        weight: Quantizer of its weight.
        activation: Quantizer of its input.
        bitset: Bit-widths it runs at.
    """

    def __init__(
        self, linear: nn.Linear, weight: Quantizer, activation: Quantizer, bitset: BitSet
    ) -> None:
        nn.Linear.__init__(self, linear.in_features, linear.out_features, False, device="meta")
        self._take_over(linear, weight, activation, bitset)

    def apply_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        return nn.functional.linear(x, weight, self.bias)


def _unused(quantizer: Quantizer, switch: BitSwitch) -> list[nn.Parameter]:
    return list(quantizer.parameters()) if switch.is_float else per_bit.inactive(quantizer)
