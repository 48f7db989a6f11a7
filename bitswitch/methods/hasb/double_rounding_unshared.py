"""Double Rounding's training with a weight scale for every bit-width: float weights are stored."""

from typing import ClassVar

from torch import Tensor

from bitswitch.contracts.card import Card, Recipe
from bitswitch.contracts.method import Method
from bitswitch.methods.double_rounding import RECIPES
from bitswitch.quant.granularity import PER_TENSOR, ActivationGranularity, WeightGranularity
from bitswitch.quant.lsq import InitName, WeightInitName, WeightQuantizer, activation_quantizer
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

        weight_granularity: WeightGranularity = PER_TENSOR
        """Which weights share a scale at a bit-width."""
        activation_granularity: ActivationGranularity = PER_TENSOR
        """Which input values share a scale: learned, or ``per-token``, computed as they come."""
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
            granularity=options.weight_granularity,
            gradient_scale=options.gradient_scale,
            init=options.weight_init,
        )

    def activation_quantizer(self) -> Quantizer:
        options = self.options
        return activation_quantizer(
            options.activation_granularity,
            self.bitset,
            options.activation_init,
            options.gradient_scale,
        )
