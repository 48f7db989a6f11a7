"""EQ-Net: one network for every bit-width, symmetry and granularity of its quantizers."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.contracts.card import Card, ExamplePasses, Recipe, Workload
from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import Method, Pass, PassContext, StepInfo
from bitswitch.methods.eq_net.elastic import ElasticQuantizer, Variant, ZeroPointSign
from bitswitch.methods.eq_net.elastic_quantizers import (
    CANDIDATES,
    GRANULARITIES,
    Candidates,
    ElasticActivationQuantizer,
    ElasticWeightQuantizer,
)
from bitswitch.nn.norms.shared import SharedBatchNorm
from bitswitch.nn.recalibration import recalibrate
from bitswitch.quant.granularity import Granularity, GranularityOption, PerChannel, PerTensor
from bitswitch.quant.quantizer import Quantizer
from bitswitch.quant.regularizers import kurtosis_penalty, skewness_penalty
from bitswitch.types import MAX_BITS, MIN_BITS, Strict

if TYPE_CHECKING:
    from bitswitch.nn.model import QuantizedModel
    from bitswitch.spec.run import RunSpec
    from bitswitch.spec.training import TrainingSpec

LayerOrChannel = Annotated[
    Granularity,
    GranularityOption("EQ-Net's weights", (PerTensor, PerChannel), "subnets have no other grids"),
]
TEACHER_SHARE = 0.5
"""Of the loss of every subnet but the largest; public code."""


class EqNet(Method):
    """Largest, random and smallest subnets in every step, each taught by the one before."""

    source = "xu2023eqnet"
    card: ClassVar[Card] = Card(
        title="EQ-Net",
        fidelity="vectors",
        storage="floats",
        licence="no licence stated",
        left_open="The publication evaluates all combinations of symmetry and granularity; a "
        "bit-width is evaluated here with symmetric weights, a scale per output channel, and "
        "symmetric activations. Batch norm is recalibrated for each bit-width on up to 257 "
        "training batches: statistics are reset and averaged evenly.",
        deviations="Zero points keep their sign, and initial ranges of symmetric weights per "
        "channel are searched among 80 candidates like all others; the public code takes "
        "magnitudes of zero points and 5 candidates, which are options. Initial ranges of "
        "activations come from the network at full precision. With first and last layers of 8 "
        "bit, the first one's input stays full precision, and the largest subnet has them too.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = {
        "imagenet": Recipe(
            options={"first_last_bits": 8},
            training={
                "optimizer": "adam",
                "learning_rate": 1e-3,
                "weight_decay": 0.0,
                "schedule": "cosine",
                "milestones": (),
                "epochs": 120,
                "batch_size": 256,
                "clip_value": 1.0,
            },
        )
    }

    class Options(Strict):
        """Defaults as published, without two faults of the public code."""

        subnets: Annotated[int, Field(ge=2)] = 3
        """Passes of a step: the largest subnet, random ones, the smallest."""
        kurtosis_strength: NonNegativeFloat = 0.015
        """Factor on the penalty on kurtosis, target 1.8."""
        skewness_strength: NonNegativeFloat = 1.0
        """Factor on the penalty on skewness, target 0."""
        zero_points: ZeroPointSign = "signed"
        """``magnitude``: the public code, which moves negative zero points to the other side."""
        channel_candidates: Annotated[int, Field(ge=1, le=100)] = CANDIDATES
        """Of the search for initial symmetric ranges per channel; 5 in the public code."""
        candidates: Candidates = CANDIDATES
        """Of the searches for all other initial ranges, of activations too."""
        symmetric: bool = True
        """Whether weights and activations are symmetric in evaluation."""
        weight_granularity: LayerOrChannel = PerChannel()
        """Which weights share a scale in evaluation."""
        recalibration_batches: PositiveInt = 257
        """Training batches on which batch norm is recalibrated for every bit-width."""
        first_last_bits: Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)] | None = None
        """Bit-width of the first and the last layer; None: full precision."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        options = self.options
        return ElasticWeightQuantizer(
            weight,
            self.bitset,
            deployed=Variant(options.symmetric, options.weight_granularity),
            zero_points=options.zero_points,
            channel_candidates=options.channel_candidates,
            candidates=options.candidates,
        )

    def activation_quantizer(self) -> Quantizer:
        options = self.options
        return ElasticActivationQuantizer(
            self.bitset, options.symmetric, options.zero_points, options.candidates
        )

    def normalization(self, norm: _BatchNorm) -> nn.Module:
        return SharedBatchNorm(norm, self.bitset)

    def passes(
        self, training: "TrainingSpec", step_info: StepInfo, layers: Sequence[str]
    ) -> list[Pass]:
        """Return largest, random and smallest subnet; variants are drawn when they are set up."""
        draw, update = step_info.generator, training.update == "separate"
        subnets = [Pass(self.bitset[0])]
        for _ in range(self.options.subnets - 2):
            drawn = torch.randint(len(self.bitset), (len(layers), 2), generator=draw).tolist()
            policy = {
                name: (self.bitset[weight], self.bitset[activation])
                for name, (weight, activation) in zip(layers, drawn, strict=True)
            }
            subnets.append(Pass(None, policy))
        subnets.append(Pass(self.bitset[-1]))
        return [
            Pass(
                part.bits,
                part.policy,
                teacher=position - 1 if position else None,
                distill_weight=TEACHER_SHARE,
                update=update,
                setup=lambda model: _choose_variants(model, draw),
            )
            for position, part in enumerate(subnets)
        ]

    def loss(self, context: PassContext) -> Tensor:
        """Return half cross-entropy, half divergence; the first pass is regularized besides.

        The penalties are on convolutions and linear layers but the first.
        """
        loss, options = super().loss(context), self.options
        modules = context.model.net.modules()
        weights = [m.weight for m in modules if isinstance(m, nn.Conv2d | nn.Linear)][1:]
        if context.previous_logits or not weights:
            return loss
        kurtosis = options.kurtosis_strength * kurtosis_penalty(weights)
        return loss + kurtosis + options.skewness_strength * skewness_penalty(weights)

    def finish(self, model: "QuantizedModel", batches: Callable[[], Iterator[Batch]]) -> None:
        count = self.options.recalibration_batches
        recalibrate(model, lambda: (batch.inputs for batch in islice(batches(), count)))

    def finish_work(self, extent: Workload) -> ExamplePasses:
        images = extent.examples(self.options.recalibration_batches)
        return ExamplePasses(forward=len(self.bitset) * images)

    def skip(self, spec: "RunSpec") -> str | None:
        if spec.training.distillation != "none":
            return "EQ-Net has a distillation of its own: every subnet learns from the one before."
        return None


def _choose_variants(model: "QuantizedModel", draw: torch.Generator) -> None:
    """Draw symmetry and granularity of every quantizer, until the bit-width is switched."""
    layers = model.quantized_layers.values()
    drawn = torch.randint(2, (len(layers), 3), generator=draw).bool().tolist()
    for layer, (symmetric, by_channel, inputs_symmetric) in zip(layers, drawn, strict=True):
        weights, activations = layer.weight_quantizer, layer.activation_quantizer
        assert isinstance(weights, ElasticQuantizer)
        weights.choose(Variant(symmetric, GRANULARITIES[by_channel]))
        if isinstance(activations, ElasticQuantizer):
            activations.choose(Variant(inputs_symmetric))
