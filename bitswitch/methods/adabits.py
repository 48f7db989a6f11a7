"""AdaBits: narrow weights are the upper bits of wide ones; every bit-width learns its own clip."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from torch import Tensor, nn

from bitswitch.contracts.card import Card, Recipe, Storage
from bitswitch.contracts.method import Method
from bitswitch.nn.layers import QuantizedLinear
from bitswitch.quant.clipped import ClipInit, LearnedClipQuantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.quant.tanh import Rescale, Scheme, TanhQuantizer
from bitswitch.types import Strict

if TYPE_CHECKING:
    from bitswitch.nn.model import QuantizedModel

CONVOLUTION_CLIP, LINEAR_CLIP = 8.0, 10.0
"""Clips at first; code of jin2020adabits."""

_RECIPE = {
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "momentum": 0.9,
    "nesterov": True,
    "weight_decay": 4e-5,
}


class AdaBits(Method):
    """One integer weight tensor per layer and joint training, gradients summed."""

    source = "jin2020adabits"
    card: ClassVar[Card] = Card(
        title="AdaBits",
        fidelity="vectors",
        storage="codes",
        licence="CC BY-NC 4.0",
        left_open="The code uses scheme modified, whose weights have a negative mean at few bits; "
        "its README advises centered instead, which is the default and part of the published "
        "recipes. With both, narrow codes are shifted wide codes; with scheme original, which is "
        "no default, float weights must be kept. Convolution weights are rescaled as in the "
        "CIFAR-10 recipe of the code; its ImageNet one leaves them. Published clips start at 8 "
        "and 10, or where training at full precision left them; the default is the range of the "
        "inputs.",
        deviations="Inputs that are negative somewhere get a range of both signs, where the code "
        "applies a ReLU to them. Rescaled linear layers give the same logits in evaluation as "
        "in training. The last layer, where it is quantized, has inputs of the same bit-width "
        "as its weights. Images are normalised. Weight decay includes depthwise convolutions.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = {
        "cifar10": Recipe(
            options={"rescale": "constant", "clip_init": "constant", "first_last_bits": "widest"},
            training=_RECIPE
            | {
                "epochs": 200,
                "batch_size": 128,
                "schedule": "step",
                "milestones": (0.5, 0.75),
                "decay": 0.1,
            },
        ),
        "imagenet": Recipe(
            options={"rescale": "none", "clip_init": "constant", "first_last_bits": 8},
            training=_RECIPE
            | {"epochs": 150, "batch_size": 256, "schedule": "cosine", "milestones": ()},
        ),
    }

    class Options(Strict):
        """Defaults as published, as the authors advise since, or corrected; see the card."""

        scheme: Scheme = "centered"
        """Of weights."""
        rescale: Literal["none", "constant", "stddev"] = "constant"
        """Of convolution weights."""
        linear_rescale: Literal["none", "constant", "stddev"] = "constant"
        """Of weights of linear layers."""
        linear_evaluation: Literal["consistent", "published"] = "consistent"
        """``published``: in evaluation, rescaled linear layers do not rescale their weights but
        divide their bias, so that logits, and with them the loss, are not those of training."""
        switchable_clip: bool = True
        """A clip per bit-width instead of one for all."""
        sides: Literal["by-input", "single", "double"] = "by-input"
        """Range of inputs: of both signs where one was negative, never (as published), always."""
        clip_init: ClipInit = "range"
        """Clips start at the 0.1-99.9 % range of the inputs; ``constant``: as published, at 8
        before convolutions and at 10 before linear layers."""
        first_last_bits: Literal["widest", 2, 3, 4, 5, 6, 7, 8] | None = None
        """Bit-width of the first and last layer's weights; None: full precision."""

    options: Options

    @property
    def storage(self) -> Storage:
        return "floats" if self.options.scheme == "original" else "codes"

    @property
    def first_last_bits(self) -> int | None:
        chosen = self.options.first_last_bits
        return self.bitset[0] if chosen == "widest" else chosen

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        options = self.options
        rescale: Rescale = options.linear_rescale if weight.dim() == 2 else options.rescale
        return TanhQuantizer(options.scheme, rescale)

    def activation_quantizer(self) -> Quantizer:
        options = self.options
        return LearnedClipQuantizer(
            self.bitset,
            CONVOLUTION_CLIP,
            signed=None if options.sides == "by-input" else options.sides == "double",
            per_bit=options.switchable_clip,
            init=options.clip_init,
        )

    def on_quantized(self, model: "QuantizedModel", outputs: int) -> None:
        """Start the clips of linear layers, and make them evaluate as published if asked to."""
        for layer in model.quantized_layers.values():
            if not isinstance(layer, QuantizedLinear):
                continue
            if isinstance(layer.activation_quantizer, LearnedClipQuantizer):
                layer.activation_quantizer.fill(LINEAR_CLIP)
            if self.options.linear_evaluation == "published":
                layer.register_forward_hook(_divide_by_gain)


def _divide_by_gain(layer: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    """Return what a linear layer gives in evaluation when its bias alone knows the rescaling."""
    assert isinstance(layer, QuantizedLinear)
    width = layer.weight_switch.width
    if layer.training or width is None or not isinstance(layer.weight_quantizer, TanhQuantizer):
        return output
    return output / layer.weight_quantizer.gain(layer.weight, width)
