"""Arbitrary Bit-width Network: a super-network whose layers share floored weights."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, NonNegativeInt
from torch import Tensor

from bitswitch.contracts.card import Card, Recipe
from bitswitch.contracts.method import Method, Pass, StepInfo
from bitswitch.nn.policy import random_policy
from bitswitch.quant.floor import FloorQuantizer
from bitswitch.quant.granularity import PER_TENSOR, WeightGranularity
from bitswitch.quant.lsq import ActivationQuantizer, InitName
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import Strict

if TYPE_CHECKING:
    from bitswitch.spec.run import RunSpec
    from bitswitch.spec.training import TrainingSpec


class Abn(Method):
    """The widest network learns from labels, and teaches mixed ones and the narrowest."""

    source = "tang2022arbitrary"
    card: ClassVar[Card] = Card(
        title="ABN",
        fidelity="partial",
        storage="codes",
        licence="no public code",
        left_open="Known here from its abstract and other publications. Which sub-networks a "
        "step trains: the widest, one with a bit-width drawn for every layer, and the narrowest, "
        "with one optimizer step for all. How they are distilled: the widest in the same step "
        "teaches, for half of the loss. Quantizers: weights floored on one grid, whose scale "
        "starts as in the public code of huang2025nearly; a learned scale per bit-width for "
        "inputs. Batch norm: one copy per bit-width. Optimizer and learning rate: those of the "
        "suite.",
        missing="The choice of bit-widths per input, a Markov decision process solved by "
        "reinforcement learning, is not there: what is trained and evaluated is the "
        "super-network.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = {
        "imagenet": Recipe(  # 160 epochs: huang2025nearly, Table 2; the rest is not known
            {"epochs": 160}
        )
    }

    class Options(Strict):
        """Chosen here; the abstract leaves them open."""

        random_passes: NonNegativeInt = 1
        """Passes per step with a bit-width drawn for every layer."""
        distillation_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
        """Share of the teacher in the loss; the rest goes to the labels."""
        weight_granularity: WeightGranularity = PER_TENSOR
        """Which weights share a scale."""
        activation_init: InitName = "mean"
        """How activation scales start."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return FloorQuantizer(weight, self.bitset, self.options.weight_granularity)

    def activation_quantizer(self) -> Quantizer:
        return ActivationQuantizer(self.bitset, self.options.activation_init)

    def passes(
        self, training: "TrainingSpec", step_info: StepInfo, layers: Sequence[str]
    ) -> list[Pass]:
        """Return the widest pass, then its students: mixed ones, and the narrowest."""
        update, soft = training.update == "separate", self.options.distillation_weight
        widest = Pass(self.bitset[0], update=update)
        if len(self.bitset) == 1:
            return [widest]
        drawn = [
            random_policy(layers, self.bitset, step_info.generator)
            for _ in range(self.options.random_passes)
        ]
        mixed = [
            Pass(None, policy, teacher=0, distill_weight=soft, update=update) for policy in drawn
        ]
        return [
            widest,
            *mixed,
            Pass(self.bitset[-1], teacher=0, distill_weight=soft, update=update),
        ]

    def skip(self, spec: "RunSpec") -> str | None:
        if spec.training.distillation != "none":
            return "it distils by itself: training.distillation must be 'none'"
        if len(spec.bitset) > 2 and self.options.random_passes == 0:
            return "without random passes only the widest and the narrowest bit-width are trained"
        return None
