"""Bit-Mixer: floored weights, a batch norm per change of bit-width, training in three stages."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.contracts.card import Card, Recipe
from bitswitch.contracts.method import Method, Pass, StepInfo
from bitswitch.nn.norms.transitional import TransitionalBatchNorm
from bitswitch.nn.policy import random_policy
from bitswitch.quant.double_rounding import GradientName
from bitswitch.quant.floor import FloorQuantizer
from bitswitch.quant.granularity import PER_TENSOR, WeightGranularity
from bitswitch.quant.lsq import ActivationQuantizer, InitName
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import FLOAT_BITS, LayerBits, Strict

if TYPE_CHECKING:
    from bitswitch.spec.run import RunSpec
    from bitswitch.spec.training import TrainingSpec

Share = Annotated[float, Field(ge=0, le=1)]


class BitMixer(Method):
    """Any layer runs at any bit-width: one pass per step, at bit-widths that are drawn.

    First activations alone are quantized, then weights too, at one bit-width for the network;
    finally more and more layers draw their own.
    """

    source = "bulat2021bitmixer"
    card: ClassVar[Card] = Card(
        title="Bit-Mixer",
        fidelity="partial",
        storage="codes",
        licence="no public code",
        left_open="Lengths of the stages: a "
        "quarter, a quarter and half of the training, under one learning rate schedule. In the "
        "third stage, each layer leaves the bit-width of the network with a probability that "
        "rises linearly from 0 to 1. Scales start as in the public code of huang2025nearly; a "
        "scale gets the derivative of the forward pass. The teacher: the network at the widest "
        "bit-width in the same step, for half of the loss. Optimizer and learning rate: those of "
        "the suite.",
        deviations="A batch norm is chosen by the bit-widths of the two quantized layers before "
        "it; re-implementations take the layers before and after it. All codes are used, the "
        "most negative one too.",
        missing="Only its abstract and what other publications say of it were at hand: "
        "three stages, floored weights and transitional batch norms follow it; lengths of the "
        "stages, initial scales and the recipe may differ.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = {
        "imagenet": Recipe(  # 160 epochs: huang2025nearly, Table 2; the rest is not known
            {"epochs": 160}
        )
    }

    class Options(Strict):
        """The stages are published, their lengths are not."""

        activation_share: Share = 0.25
        """Share of the training with float weights: the first stage."""
        network_share: Share = 0.25
        """Share of the training at one bit-width for the network; layers draw in what is left."""
        distillation: Literal["none", "widest"] = "none"
        """``widest``: a pass at the widest bit-width comes first and teaches."""
        distillation_weight: Share = 0.5
        """Share of the teacher in the loss; the rest goes to the labels."""
        weight_granularity: WeightGranularity = PER_TENSOR
        """Which weights share a scale."""
        gradient: GradientName = "derivative"
        """Of weight scales; ``printed``: as re-implemented in the code of huang2025nearly."""
        activation_init: InitName = "mean"
        """How activation scales start."""

        @model_validator(mode="after")
        def _stages_fit(self) -> Self:
            if self.activation_share + self.network_share > 1:
                raise ValueError("activation_share and network_share are more than 1 together")
            return self

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        options = self.options
        return FloorQuantizer(weight, self.bitset, options.weight_granularity, options.gradient)

    def activation_quantizer(self) -> Quantizer:
        return ActivationQuantizer(self.bitset, self.options.activation_init)

    def normalization(self, norm: _BatchNorm) -> nn.Module:
        return TransitionalBatchNorm(norm, self.bitset)

    def passes(
        self, training: "TrainingSpec", step_info: StepInfo, layers: Sequence[str]
    ) -> list[Pass]:
        """Return one pass at drawn bit-widths, after one at the widest where that teaches."""
        part = replace(self._drawn(step_info, layers), update=training.update == "separate")
        widest = self.bitset[0]
        if self.options.distillation == "none" or part.bits == widest:
            return [part]
        if step_info.progress < self.options.activation_share:
            teacher = replace(part, policy=dict.fromkeys(layers, (FLOAT_BITS, widest)))
        else:
            teacher = replace(part, bits=widest, policy=None)
        return [teacher, replace(part, teacher=0, distill_weight=self.options.distillation_weight)]

    def _drawn(self, step_info: StepInfo, layers: Sequence[str]) -> Pass:
        """Return the pass of the stage that ``step_info`` is in."""
        draw, options, progress = step_info.generator, self.options, step_info.progress
        bits = self.bitset[int(torch.randint(len(self.bitset), (), generator=draw))]
        if progress < options.activation_share:
            return Pass(None, dict.fromkeys(layers, (FLOAT_BITS, bits)))
        start = options.activation_share + options.network_share
        if progress < start:
            return Pass(bits)
        own, chance = random_policy(layers, self.bitset, draw), (progress - start) / (1 - start)
        leaves = (torch.rand(len(layers), generator=draw) < chance).tolist()
        policy: dict[str, LayerBits] = {
            name: own[name] if left else (bits, bits)
            for name, left in zip(layers, leaves, strict=True)
        }
        return Pass(None, policy) if any(leaves) else Pass(bits)

    def skip(self, spec: "RunSpec") -> str | None:
        if spec.training.distillation != "none":
            return "it distils by its own option: training.distillation must be 'none'"
        return None
