"""Double Rounding: every narrow weight is a rounding of the stored wide one."""

from typing import Literal

from torch import Tensor

from bitswitch.contracts import Card, Method
from bitswitch.quant.double_rounding import DoubleRoundingQuantizer, GradientName
from bitswitch.quant.grid import Rounding
from bitswitch.quant.lsq import ActivationQuantizer, InitName, WeightQuantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import Strict


class DoubleRounding(Method):
    """One integer weight tensor and one step per layer, for all bit-widths."""

    source = "huang2025nearly"
    card = Card(
        title="Double Rounding",
        fidelity="vectors",
        storage="codes",
        licence="not stated",
        left_open="Eq. 13 leaves open which ratio is meant below the widest bit-width: the "
        "derivative of the forward pass is taken. Initial scales follow the public code.",
        deviations="Scales that a step pushed below zero are mirrored there.",
    )

    class Options(Strict):
        """Defaults as published."""

        scales: Literal["shared", "independent"] = "shared"
        """``independent``: a weight scale per bit-width, as the rows marked with a star."""
        per_channel: bool = False
        """A weight scale per output channel; Eq. 1 has one per layer."""
        rounding: Rounding = "double"
        """Of shared scales."""
        gradient: GradientName = "derivative"
        """Of shared scales; Eq. 13."""
        gradient_scale: bool = True
        """Multiply scale gradients by 1 / sqrt(values per scale * largest code)."""
        activation_init: InitName = "range"
        """How activation scales start."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        options = self.options
        if options.scales == "independent":
            return WeightQuantizer(
                weight, self.bitset, options.per_channel, gradient_scale=options.gradient_scale
            )
        return DoubleRoundingQuantizer(
            weight,
            self.bitset,
            per_channel=options.per_channel,
            rounding=options.rounding,
            gradient=options.gradient,
            gradient_scale=options.gradient_scale,
        )

    def activation_quantizer(self) -> Quantizer:
        options = self.options
        return ActivationQuantizer(self.bitset, options.activation_init, options.gradient_scale)
