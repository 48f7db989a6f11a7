"""MatQuant: one model of 8 bits, trained so that its highest bits are good models too."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, NonNegativeFloat, model_validator
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.contracts.card import Card
from bitswitch.contracts.method import Method, Pass, PassContext, StepInfo
from bitswitch.errors import SpecError
from bitswitch.methods.matquant.sliced import BaseName, MinMaxQuantizer
from bitswitch.quant.granularity import (
    PER_TENSOR,
    ActivationGranularity,
    PerChannel,
    WeightGranularity,
)
from bitswitch.quant.lsq import activation_quantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import MAX_BITS, MIN_BITS, BitSet, Distinct, Strict, format_bitset

if TYPE_CHECKING:
    from bitswitch.spec.run import RunSpec
    from bitswitch.spec.training import TrainingSpec

Width = Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)]
WIDE, NARROWEST = 0.1, 1.0
"""Weights of the losses; table of loss weights of nair2025matryoshka."""


class MatQuant(Method):
    """Losses of slices of one set of wide codes, added up; bit-widths between are sliced too."""

    source = "nair2025matryoshka"
    card: ClassVar[Card] = Card(
        title="MatQuant",
        fidelity="equations",
        storage="codes",
        licence="no public code",
        left_open="Which weights of the losses are the default: 0.1 for all trained bit-widths but "
        "the narrowest, 1 for that one. What a clamped code passes back: nothing.",
        deviations="Option learned-clip trains clipping factors and weights together, which is "
        "neither of the published bases: OmniQuant learns factors alone, block by block, and QAT "
        "has none. Inputs, where they are quantized, have a learned scale for every bit-width. "
        "Every linear layer is quantized unless the suite keeps some at full precision; the "
        "publication's default is the feed-forward layers alone.",
    )

    class Options(Strict):
        """Defaults as published."""

        weight_granularity: WeightGranularity = PerChannel()
        """Which weights share a grid."""
        base: BaseName = "qat"
        """Where grids end."""
        clamp: bool = True
        """False: codes that round beyond the largest stay there, and need a further bit (the
        publication's first version; "extra precision" since)."""
        trained: Distinct[Width] | None = None
        """Bit-widths that steps train, widest first; the others are sliced. None: all."""
        loss_weights: tuple[NonNegativeFloat, ...] | None = None
        """Of the trained bit-widths, in their order; None: 0.1, and 1 for the narrowest."""
        co_distillation: Distinct[Width] = ()
        """Trained bit-widths that also learn from the logits of the widest trained one."""
        co_distillation_weight: float = Field(0.5, ge=0, le=1)
        """Share of these logits in their loss; the rest goes to the labels."""
        activation_granularity: ActivationGranularity = PER_TENSOR
        """Which input values share a scale: learned, or ``per-token``, computed as they come."""

        @model_validator(mode="after")
        def _lists_fit(self) -> Self:
            trained = self.trained
            if trained is not None and list(trained) != sorted(trained, reverse=True):
                raise ValueError(f"trained {list(trained)} must be widest first")
            if trained is not None and not trained:
                raise ValueError("trained must name a bit-width, or be null for all")
            if self.loss_weights is not None and not any(self.loss_weights):
                raise ValueError("loss_weights are all zero: nothing would be trained")
            return self

    options: Options

    @property
    def trained(self) -> BitSet:
        """Bit-widths that steps train, widest first."""
        return self.bitset if self.options.trained is None else self.options.trained

    @property
    def sliced(self) -> BitSet:
        return tuple(bits for bits in self.bitset if self._loss_weight(bits) == 0)

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        options = self.options
        return MinMaxQuantizer(
            weight, self.bitset, options.weight_granularity, options.base, options.clamp
        )

    def activation_quantizer(self) -> Quantizer:
        return activation_quantizer(self.options.activation_granularity, self.bitset)

    def normalization(self, norm: _BatchNorm) -> nn.Module:
        """Return a batch norm with a copy for every bit-width.

        Raises:
            SpecError: one of them is not trained.
        """
        if self.sliced:
            raise SpecError(
                f"no step trains its copy for the sliced bit-widths "
                f"{format_bitset(self.sliced)}.\n  Train all bit-widths (trained: null, no loss "
                f"weight of 0), or take a network without batch norms."
            )
        return super().normalization(norm)

    def passes(
        self, training: "TrainingSpec", step_info: StepInfo, layers: Sequence[str]
    ) -> list[Pass]:
        """Return a pass for every trained bit-width, and one optimizer step for all."""
        options = self.options
        return [
            Pass(bits, teacher=0, distill_weight=options.co_distillation_weight)
            if position and bits in options.co_distillation
            else Pass(bits)
            for position, bits in enumerate(b for b in self.bitset if self._loss_weight(b))
        ]

    def loss(self, context: PassContext) -> Tensor:
        """Return the loss, with its value as it is and the gradient times its weight."""
        loss, bits = super().loss(context), context.current.bits
        assert bits is not None
        return loss.detach() + self._loss_weight(bits) * (loss - loss.detach())

    def skip(self, spec: "RunSpec") -> str | None:
        training, options = spec.training, self.options
        if training.distillation != "none":
            return "it distils by its option co_distillation: training.distillation must be 'none'"
        if training.update != "conventional":
            return "it takes one step for all bit-widths: training.update must be 'conventional'"
        if strange := [bits for bits in self.trained if bits not in spec.bitset]:
            return f"its trained names {strange[0]} bit, which {format_bitset(spec.bitset)} lacks"
        given = options.loss_weights
        if given is not None and len(given) != len(self.trained):
            return f"it has {len(given)} loss weights for {len(self.trained)} trained bit-widths"
        taught = [bits for bits in self.bitset if self._loss_weight(bits)][1:]
        if strange := [bits for bits in options.co_distillation if bits not in taught]:
            return (
                f"its co_distillation names {strange[0]} bit; those that a wider one can teach are "
                f"{format_bitset(tuple(taught))}"
            )
        return None

    def _loss_weight(self, bits: int) -> float:
        """Return the weight of the loss at ``bits``, 0 where it is not trained."""
        if bits not in self.trained:
            return 0.0
        given = self.options.loss_weights
        if given is not None:
            return given[self.trained.index(bits)]
        return NARROWEST if bits == self.trained[-1] else WIDE
