"""LSQ: learned step sizes (scales), one network per bit-width."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from bitswitch.contracts.card import Card, Recipe
from bitswitch.contracts.method import Method
from bitswitch.quant.granularity import PER_TENSOR, ActivationGranularity, WeightGranularity
from bitswitch.quant.lsq import GradientCount, WeightQuantizer, activation_quantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import MAX_BITS, MIN_BITS, Strict

if TYPE_CHECKING:
    from bitswitch.spec.run import RunSpec


class Lsq(Method):
    """Separate training: every bit-width has its own weights, scales and batch norm."""

    source = "esser2020learned"
    card: ClassVar[Card] = Card(
        title="LSQ",
        fidelity="vectors",
        storage="floats",
        licence="no public code",
        left_open="The number of features that scales the gradient of an activation scale is read "
        "as that of one image. The batch size of the recipe is not printed; 256 is taken. Vectors "
        "are those of an unofficial implementation.",
        deviations="Initial activation scales are measured on inputs of the full-precision "
        "network, over several batches instead of the first. Activations are signed where a "
        "negative value was observed. Scales have no weight decay. The recipe is the "
        "one for 4 bit: for 3 and 2 bit the publication halves and quarters the weight decay, at "
        "8 bit it trains one epoch at a tenth of the learning rate.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = {
        "imagenet": Recipe(
            options={"first_last_bits": 8},
            training={
                "epochs": 90,
                "batch_size": 256,
                "optimizer": "sgd",
                "learning_rate": 0.01,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 1e-4,
                "schedule": "cosine",
                "milestones": (),
            },
        )
    }

    class Options(Strict):
        """Defaults as published, but for the first and last layer."""

        weight_granularity: WeightGranularity = PER_TENSOR
        """Which weights share a scale; one per layer as published, ``per-tensor``."""
        activation_granularity: ActivationGranularity = PER_TENSOR
        """Which input values share a scale: learned, or ``per-token``, computed as they come."""
        symmetric: bool = False
        """Leave out the most negative code of weights."""
        activation_init: Literal["mean", "one"] = "mean"
        """How activation scales start: 2 mean|x| / sqrt(Qp), or 1, as a public implementation."""
        gradient_count: Literal["published", "token", "tensor"] = "published"
        """What the factor on a scale's gradient counts: weights that share the scale, features of
        one image; the same, but features of one ``token``, which stands for an image where there is
        a sequence; or everything in the ``tensor`` (all channels, the whole batch), as a public
        implementation."""
        first_last_bits: Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)] | None = None
        """Of the first and last layer; the publication has 8. None: full precision."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        options = self.options
        count: GradientCount = "tensor" if options.gradient_count == "tensor" else "scale"
        granularity = options.weight_granularity
        return WeightQuantizer(
            weight, self.bitset, granularity, options.symmetric, gradient_count=count
        )

    def activation_quantizer(self) -> Quantizer:
        options = self.options
        chosen = options.gradient_count
        count: GradientCount = "image" if chosen == "published" else chosen
        return activation_quantizer(
            options.activation_granularity,
            self.bitset,
            options.activation_init,
            gradient_count=count,
        )

    def skip(self, spec: "RunSpec") -> str | None:
        return one_width_only("LSQ", spec)


def one_width_only(title: str, spec: "RunSpec") -> str | None:
    """Return why a method for one bit-width at a time refuses ``spec``, or None."""
    if len(spec.bitset) == 1:
        return None
    return (
        f"{title} trains a network per bit-width: a run has one "
        f"(in a suite: one_network_per_bitwidth: true)"
    )
