"""LIMPQ: every bit-width and a random policy in each step; learned scales tell importance."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from bitswitch.contracts.card import Card, Recipe
from bitswitch.contracts.method import Method, Pass, StepInfo
from bitswitch.nn.policy import random_policy
from bitswitch.quant.lsq import ActivationQuantizer, WeightQuantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import MAX_BITS, MIN_BITS, Strict

if TYPE_CHECKING:
    from bitswitch.spec.run import RunSpec
    from bitswitch.spec.training import TrainingSpec


class Limpq(Method):
    """Joint training of a scale per layer, operand and bit-width, which sensitivity reads later.

    Source: tang2022mixed and its public code (joint training of importance indicators).
    """

    source = "tang2022mixed"
    card: ClassVar[Card] = Card(
        title="LIMPQ",
        fidelity="vectors",
        storage="floats",
        licence="MIT",
        left_open="Vectors are those of the LSQ implementation that the public code has copied. "
        "The recipe is the one for ResNet-18; the batch size is that of one processor, and "
        "ResNet-50 has 3 epochs and a batch of 64.",
        deviations="Here it is also a method to be evaluated at every bit-width; the publication "
        "keeps nothing but the scales, and trains the policy that they lead to from full "
        "precision. Scales are used as they are; the public code uses 1e-5 or 1 where they are "
        "beyond. Initial activation scales are measured on inputs of the full-precision network. "
        "Inputs are signed where a negative value was observed. The batch norm before the first "
        "quantized layer has a copy per bit-width. The cosine ends at 0 instead of 1e-5.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = {
        "imagenet": Recipe(
            {
                "epochs": 5,
                "batch_size": 256,
                "optimizer": "sgd",
                "learning_rate": 0.01,
                "momentum": 0.9,
                "nesterov": True,  # what timm makes of "sgd"
                "weight_decay": 2.5e-5,
                "schedule": "cosine",
                "milestones": (),
                "clip_value": 1.0,
                "label_smoothing": 0.1,
            }
        )
    }

    class Options(Strict):
        """Defaults as published."""

        random_pass: bool = True
        """After the passes at one bit-width, one at a bit-width drawn for every layer."""
        first_last_bits: Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)] | None = None
        """Of the first and last layer; None: full precision, as published for this training."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return WeightQuantizer(weight, self.bitset, gradient_count="tensor", init="three-sigma")

    def activation_quantizer(self) -> Quantizer:
        return ActivationQuantizer(self.bitset, init="mean", gradient_count="tensor")

    def passes(
        self, training: "TrainingSpec", step_info: StepInfo, layers: Sequence[str]
    ) -> list[Pass]:
        """Return all bit-widths, widest to narrowest, then weights and inputs at random ones."""
        update = training.update == "separate"
        passes = [Pass(bits, update=update) for bits in self.bitset]
        if self.options.random_pass and len(self.bitset) > 1:
            policy = random_policy(layers, self.bitset, step_info.generator)
            passes.append(Pass(None, policy, update=update))
        return passes

    def skip(self, spec: "RunSpec") -> str | None:
        if spec.training.distillation != "none":
            return "LIMPQ learns from labels alone: training.distillation must be 'none'"
        return None
