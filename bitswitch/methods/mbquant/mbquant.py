"""MBQuant: more bits mean more branches, whose weights always have two."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field
from torch import Tensor, nn

from bitswitch.contracts.card import Card, Recipe
from bitswitch.contracts.method import Method, Pass, StepInfo
from bitswitch.methods.mbquant.branches import Branches, branch_out, copies
from bitswitch.methods.mbquant.learned_interval import (
    IntervalActivationQuantizer,
    IntervalWeightQuantizer,
)
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import BitSet, Strict

if TYPE_CHECKING:
    from bitswitch.spec.run import RunSpec
    from bitswitch.spec.training import TrainingSpec

BRANCH_BITS = 2
"""Of all weights."""
SECOND_FIRST = (4, 6)
"""Bit-widths below the widest that leave the first branch out: it has to serve few of them."""
NETWORKS = ("mobilenetv2", "resnet8", "resnet18", "resnet20", "resnet50")
"""Those whose body is known."""

_RECIPE = {
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "momentum": 0.9,
    "nesterov": False,
    "weight_decay": 1e-4,
    "schedule": "cosine",
    "scale_optimizer": "adam",
    "scale_learning_rate": 1e-4,
}


class MBQuant(Method):
    """The body of the network exists several times; b bits run b / 2 of these branches."""

    source = "zhong2025mbquant"
    card: ClassVar[Card] = Card(
        title="MBQuant",
        fidelity="partial",
        storage="codes",
        licence="no licence stated",
        left_open="How branches start: those of the public code are random, or equal copies of "
        "one network, told apart by bounds set from single filters. Here they start as copies of "
        "the float network and all but the first get noise of 0.1 standard deviations; without "
        "it, branches that serve the same bit-widths stay equal.",
        deviations="Bounds belong to a branch; in the public code, to its place among those in "
        "use, so that 4 and 6 bits share those of other branches. Initial bounds are measured on "
        "whole tensors at full precision. The stem is shared by all branches on every network, "
        "branches never exchange channels, and in pre-activation networks they are averaged "
        "before the last batch norm. Every bit-width compiles a graph of its own.",
        missing="Odd bit-widths, for which the publication adds a branch with fewer channels.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = {
        "cifar10": Recipe(_RECIPE | {"epochs": 200, "batch_size": 128}),
        "imagenet": Recipe(_RECIPE | {"epochs": 90, "batch_size": 256}),
    }

    class Options(Strict):
        """Defaults as published, but for ``noise``."""

        share: Annotated[float, Field(ge=0, le=1)] = 0.5
        """Of the widest bit-width's predictions in the loss of the others."""
        noise: Annotated[float, Field(ge=0)] = 0.1
        """What tells branches apart at the start, in deviations of the weights."""

    options: Options

    def transform_float(self, net: nn.Module) -> nn.Module:
        serving = branches_of(self.bitset)
        count = 1 + max(max(used) for used in serving.values())
        return branch_out(
            net, lambda body: Branches(copies(body, count, self.options.noise), serving)
        )

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return IntervalWeightQuantizer(weight, BRANCH_BITS)

    def activation_quantizer(self) -> Quantizer:
        return IntervalActivationQuantizer(self.bitset)

    def passes(
        self, training: "TrainingSpec", step_info: StepInfo, layers: Sequence[str]
    ) -> list[Pass]:
        """Return one pass per bit-width, widest first; it teaches the others."""
        update, share = training.update == "separate", self.options.share
        widest, *others = self.bitset
        return [
            Pass(widest, update=update),
            *(Pass(bits, teacher=0, distill_weight=share, update=update) for bits in others),
        ]

    def skip(self, spec: "RunSpec") -> str | None:
        if odd := [bits for bits in spec.bitset if bits % BRANCH_BITS]:
            return f"its branches have {BRANCH_BITS} bits, which does not divide {odd[0]}"
        if spec.model.name not in NETWORKS:
            return f"where the body of '{spec.model.name}' begins and ends is not known to it"
        if spec.training.distillation != "none":
            return "its widest bit-width teaches: training.distillation must be 'none'"
        return None


def branches_of(bitset: BitSet) -> dict[int, tuple[int, ...]]:
    """Return the positions of the branches that serve each bit-width.

    Args:
        bitset: Even bit-widths, widest first.

    Source: zhong2025mbquant, its public code.

    >>> branches_of((8, 6, 4, 2))
    {8: (0, 1, 2, 3), 6: (1, 2, 3), 4: (1, 2), 2: (0,)}
    """
    serving = {}
    for bits in bitset:
        first = 1 if bits in SECOND_FIRST and bits < bitset[0] else 0
        serving[bits] = tuple(range(first, first + bits // BRANCH_BITS))
    return serving
