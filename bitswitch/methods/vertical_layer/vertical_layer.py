"""Vertical Layering: a basic layer of few bits, and one that enhances it for every further bit."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from bitswitch.contracts.card import Card, Recipe
from bitswitch.contracts.method import Method, Products
from bitswitch.methods.vertical_layer.min_norm import cosines, min_norm_weights
from bitswitch.quant.double_rounding import DoubleRoundingQuantizer
from bitswitch.quant.granularity import PER_TENSOR, ActivationGranularity, WeightGranularity
from bitswitch.quant.lsq import InitName, activation_quantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import MAX_BITS, MIN_BITS, Strict

if TYPE_CHECKING:
    from bitswitch.spec.run import RunSpec


class VerticalLayer(Method):
    """Codes that cascade from each bit-width to the next, and a step that serves all of them.

    The weights of a bit-width are those of the next wider one, halved and rounded: the narrowest
    codes are the basic layer, and what each halving drops is an enhancing one. Bit-widths are the
    objectives of one optimization: the parameters that they share move against the shortest
    weighted mean of their gradients, which lowers all losses at once wherever that is possible.

    Source: wu2023vertical, abstract (cascade downsampling, multi-objective optimization);
    sener2018multitask, Eq. 3 and Alg. 2.
    """

    source = "wu2023vertical"
    card: ClassVar[Card] = Card(
        title="Vertical Layering",
        fidelity="partial",
        storage="codes",
        licence="no public code",
        left_open="Known here from its abstracts. How a code is halved: to nearest, ties to even, "
        "bit by bit, whatever bit-widths are trained. Which multi-objective optimization: the "
        "shortest mean of the gradients, as they are, for what all bit-widths share; batch norms "
        "and activation scales, one copy per bit-width, follow their own gradients. Quantizers: "
        "one learned weight scale, doubled with every bit, and learned scales for inputs, which "
        "start as those of Double Rounding do.",
        missing="Equations, quantizers and recipe of the publication were not at hand; of that "
        "only 300 epochs are known, which huang2025nearly lists.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = {
        "imagenet": Recipe(  # 300 epochs: huang2025nearly, Table 2; the rest is not known
            {"epochs": 300, "update": "conventional", "alrs": None}
        )
    }

    class Options(Strict):
        """Chosen here; the abstracts leave them open."""

        weight_granularity: WeightGranularity = PER_TENSOR
        """Which weights share a scale."""
        activation_granularity: ActivationGranularity = PER_TENSOR
        """Which input values share a scale: learned, or ``per-token``, computed as they come."""
        rounding: Literal["cascade", "shift"] = "cascade"
        """``shift``: bits are dropped, so that a narrow code is the highest bits of any wider."""
        normalize_gradients: bool = False
        """Weigh bit-widths by the directions of their gradients alone."""
        gradient_scale: bool = True
        """Multiply scale gradients by 1 / sqrt(values per scale * largest code)."""
        activation_init: InitName = "range"
        """How activation scales start."""
        first_last_bits: Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)] | None = None
        """Fixed bit-width of the first and the last layer; None: full precision."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        options = self.options
        return DoubleRoundingQuantizer(
            weight,
            self.bitset,
            granularity=options.weight_granularity,
            rounding=options.rounding,
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

    def pass_weights(self, products: Products) -> Sequence[float]:
        """Return the weights of the shortest mean of the gradients."""
        return min_norm_weights(cosines(products) if self.options.normalize_gradients else products)

    def skip(self, spec: "RunSpec") -> str | None:
        if spec.training.update != "conventional":
            return "it takes one step for all bit-widths: training.update must be 'conventional'"
        return None
