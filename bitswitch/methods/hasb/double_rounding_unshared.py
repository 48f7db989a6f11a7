"""Double Rounding's training with a weight scale for every bit-width: float weights are stored."""

from typing import ClassVar

from torch import Tensor

from bitswitch.contracts.card import Card, Recipe
from bitswitch.contracts.method import Method
from bitswitch.methods.double_rounding import RECIPES
from bitswitch.quant.lsq import ActivationQuantizer, InitName, WeightInitName, WeightQuantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import Strict


class DoubleRoundingUnshared(Method):
    """Weights rounded once at every bit-width, as the rows marked with a star."""

    source = "huang2025nearly"
    card: ClassVar[Card] = Card(
        title="Double Rounding, unshared scales",
        fidelity="equations",
        storage="floats",
        licence="not stated",
        left_open="How the scales of the bit-widths start is not stated: as the shared one does, "
        "at max|mean +- 3 std| / 2^(b-1), so that both begin on the same grids. Weights are "
        "rounded once, since no codes are shared.",
        deviations="Scales that a step pushed below zero are mirrored there.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = RECIPES

    class Options(Strict):
        """Defaults as published."""

        per_channel: bool = False
        """A weight scale per output channel and bit-width."""
        gradient_scale: bool = True
        """Multiply scale gradients by 1 / sqrt(values per scale * largest code)."""
        weight_init: WeightInitName = "three-sigma"
        """How weight scales start."""
        activation_init: InitName = "range"
        """How activation scales start."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        options = self.options
        return WeightQuantizer(
            weight,
            self.bitset,
            per_channel=options.per_channel,
            gradient_scale=options.gradient_scale,
            init=options.weight_init,
        )

    def activation_quantizer(self) -> Quantizer:
        options = self.options
        return ActivationQuantizer(self.bitset, options.activation_init, options.gradient_scale)
