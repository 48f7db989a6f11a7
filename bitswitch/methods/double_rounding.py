"""Double Rounding: every narrow weight is a rounding of the stored wide one."""

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from bitswitch.contracts.card import Card, Recipe, Storage
from bitswitch.contracts.method import Method
from bitswitch.quant.double_rounding import NESTED, DoubleRoundingQuantizer, GradientName
from bitswitch.quant.granularity import PER_TENSOR, ActivationGranularity, WeightGranularity
from bitswitch.quant.grid import Rounding
from bitswitch.quant.lsq import InitName, activation_quantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import MAX_BITS, MIN_BITS, Strict

_RECIPE = {
    "optimizer": "adam",
    "learning_rate": 5e-4,
    "weight_decay": 5e-5,
    "schedule": "cosine",
    "milestones": (),
    "warmup_epochs": 0,
    "update": "separate",
    "alrs": {"variant": "relative"},
}
RECIPES = {
    "cifar10": Recipe(training={**_RECIPE, "epochs": 200, "batch_size": 128}),
    "imagenet": Recipe(training={**_RECIPE, "epochs": 90, "batch_size": 256}),
}
"""Of the publication, whether scales are shared or not."""


class DoubleRounding(Method):
    """One integer weight tensor and one scale per layer, for all bit-widths."""

    source = "huang2025nearly"
    card: ClassVar[Card] = Card(
        title="Double Rounding",
        fidelity="vectors",
        storage="codes",
        licence="not stated",
        left_open="Eq. 13 leaves open which ratio is meant below the widest bit-width: the "
        "derivative of the forward pass is taken. Initial scales follow the public code.",
        deviations="Scales that a step pushed below zero are mirrored there. For CIFAR-10 the "
        "publication states epochs and batch size alone; the rest of that recipe is the one for "
        "ImageNet.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = RECIPES

    class Options(Strict):
        """Defaults as published."""

        weight_granularity: WeightGranularity = PER_TENSOR
        """Which weights share a scale; Eq. 1 has one per layer, ``per-tensor``."""
        activation_granularity: ActivationGranularity = PER_TENSOR
        """Which input values share a scale: learned, or ``per-token``, computed as they come."""
        rounding: Rounding = "double"
        """How narrow codes come about; ``single`` and ``floor`` need the float weights."""
        gradient: GradientName = "derivative"
        """Of weight scales; Eq. 13."""
        gradient_scale: bool = True
        """Multiply scale gradients by 1 / sqrt(values per scale * largest code)."""
        activation_init: InitName = "range"
        """How activation scales start."""
        first_last_bits: Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)] | None = None
        """Fixed bit-width of the first and the last layer; None: full precision, as published."""

    options: Options

    @property
    def storage(self) -> Storage:
        return "codes" if self.options.rounding in NESTED else "floats"

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        options = self.options
        return DoubleRoundingQuantizer(
            weight,
            self.bitset,
            granularity=options.weight_granularity,
            rounding=options.rounding,
            gradient=options.gradient,
            gradient_scale=options.gradient_scale,
        )

    def activation_quantizer(self) -> Quantizer:
        options = self.options
        return activation_quantizer(
            options.activation_granularity,
            self.bitset,
            options.activation_init,
            options.gradient_scale,
        )
