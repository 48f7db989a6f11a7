"""HASB: a Double Rounding supernet whose layers draw bit-widths by how sensitive they are."""

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import torch
from pydantic import Field, NonNegativeInt
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.contracts.card import Card, Storage
from bitswitch.contracts.method import Pass, StepInfo
from bitswitch.contracts.sensitivity import Scores
from bitswitch.errors import SpecError
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.methods.hasb.double_rounding_unshared import DoubleRoundingUnshared
from bitswitch.methods.hasb.roulette import roulette_probabilities, sensitive_layers, tilt_to
from bitswitch.nn.blocks import shortcut_leaders
from bitswitch.nn.norms.transitional import TransitionalBatchNorm, spread
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import format_bitset

if TYPE_CHECKING:
    from bitswitch.nn.model import QuantizedModel
    from bitswitch.spec.run import RunSpec
    from bitswitch.spec.training import TrainingSpec

Share = Annotated[float, Field(ge=0, le=1)]
Odds = dict[str, tuple[float, ...]]
"""Probability of every bit-width, widest first, by layer."""

_UNGUIDED = (
    "its roulette needs to know how sensitive layers are: name a sensitivity in the "
    "variant's guide, or set its option sampling to 'uniform'"
)


class Hasb(DoubleRounding):
    """One pass per bit-width, from which more and more layers depart to a bit-width of their own.

    A layer draws by roulette: evenly where its sensitivity is below the mean over layers, in
    proportion to the bit-widths where it is not.
    """

    card: ClassVar[Card] = Card(
        title="Double Rounding + HASB",
        fidelity="equations",
        storage="codes",
        licence="not stated",
        left_open="sigma at the start is that of the public code, which Alg. A.3 leaves open. The "
        "mean sensitivity is taken over the quantized layers; the public code leaves out the "
        "first and the last too. Scales of a pass get the learning rate of its bit-width, "
        "whatever single layers draw.",
        deviations="As printed, the probability of a draw would compound from epoch to epoch; it "
        "rises linearly here. A 1x1 shortcut draws for itself; in the public code it takes the "
        "bit-width of its block. The public code draws in validation too, and trains nothing "
        "unless told to step inside; neither is so here.",
    )

    class Options(DoubleRounding.Options):
        """Those of Double Rounding, and how bit-widths are drawn."""

        weight_scales: Literal["shared", "unshared"] = "shared"
        """``unshared``: weights are rounded once, by a scale per bit-width, and stored as floats:
        HASB without Double Rounding."""
        sampling: Literal["roulette", "uniform"] = "roulette"
        """``uniform``: every layer draws evenly; needs no sensitivity."""
        visits: Literal["every", "sandwich"] = "every"
        """Bit-widths of one step: all, as in Alg. A.3 and the public code, or the widest, some
        random ones in between and the narrowest."""
        random_passes: NonNegativeInt = 1
        """Random bit-widths of a ``sandwich``."""
        sigma: Share = 0.5
        """Probability that a layer draws, in the last epoch."""
        sigma_schedule: Literal["linear", "compounding"] = "linear"
        """``linear``: sigma (epoch + 1) / epochs; ``compounding``: as Alg. A.3 is printed, that
        factor multiplies what the epoch before left of sigma."""
        warmup_epochs: NonNegativeInt = 0
        """Epochs without draws; the public code has 10."""
        sensitive_limit: Share = 1.0
        """Largest share of the layers that may count as sensitive, the most sensitive first."""
        mean_bits: float | None = None
        """Mean bit-width of all draws, in bits; None: as Alg. 1 has it. See ``tilt_to``."""
        shortcuts: Literal["own", "shared"] = "own"
        """``shared``: a block's 1x1 shortcut takes the draw of the block's first layer."""

    options: Options
    _scores: Scores | None = None
    _norms: Sequence[str] = ()
    """Names of the model's batch norms."""
    _odds: Odds | None = None

    @property
    def storage(self) -> Storage:
        return "floats" if self.options.weight_scales == "unshared" else super().storage

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        options = self.options
        if options.weight_scales == "shared":
            return super().weight_quantizer(weight)
        shared = {key: getattr(options, key) for key in ("weight_granularity", "gradient_scale")}
        other = DoubleRoundingUnshared(DoubleRoundingUnshared.Options(**shared), self.bitset)
        return other.weight_quantizer(weight)

    def normalization(self, norm: _BatchNorm) -> nn.Module:
        return TransitionalBatchNorm(norm, self.bitset)

    def on_quantized(self, model: "QuantizedModel", outputs: int) -> None:
        """Note where batch norms are; the model needs nothing besides."""
        parts = model.named_modules()
        self._norms = [name for name, part in parts if isinstance(part, TransitionalBatchNorm)]

    def convert_state_dict(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return ``state`` with a batch norm for every transition, copied from its bit-width's."""
        return spread(state, self._norms, self.bitset)

    def set_sensitivity(self, scores: Scores) -> None:
        """Take one sensitivity per layer."""
        self._scores, self._odds = scores, None

    def passes(
        self, training: "TrainingSpec", step_info: StepInfo, layers: Sequence[str]
    ) -> list[Pass]:
        """Return one pass per visited bit-width, widest first, each with draws of its own."""
        if self._odds is None:
            self._odds = self._probabilities(layers)
        chain, chance = training.distillation == "neighbour", self._chance(step_info)
        return [
            Pass(
                bits,
                self._drawn(bits, chance, self._odds, step_info.generator),
                teacher=position - 1 if chain and position else None,
                distill_weight=training.distillation_weight,
                update=training.update == "separate",
            )
            for position, bits in enumerate(self._visited(step_info.generator))
        ]

    def _visited(self, draw: torch.Generator) -> list[int]:
        """Return the bit-widths of one step, widest first."""
        widest, *between = self.bitset
        if self.options.visits == "every" or not between:
            return list(self.bitset)
        narrowest = between.pop()
        order = torch.randperm(len(between), generator=draw)[: self.options.random_passes]
        return [widest, *(between[i] for i in sorted(order.tolist())), narrowest]

    def _chance(self, step_info: StepInfo) -> float:
        """Return the probability that a layer draws.

        Source: huang2025nearly, Alg. A.3.
        """
        options, epoch = self.options, step_info.epoch
        if epoch < options.warmup_epochs:
            return 0.0
        first = 0 if options.sigma_schedule == "compounding" else epoch
        shares = ((past + 1) / step_info.epochs for past in range(first, epoch + 1))
        return options.sigma * prod(shares)

    def _drawn(
        self, bits: int, chance: float, odds: Odds, draw: torch.Generator
    ) -> dict[str, int] | None:
        """Return the bit-width of every layer in a pass at ``bits``; None: that for all.

        As many numbers are drawn whatever the chance.
        """
        leaves, spins = torch.rand((2, len(odds)), generator=draw, dtype=torch.float64).tolist()
        policy = {
            name: self._spin(odds[name], spin) if leave < chance else bits
            for name, leave, spin in zip(odds, leaves, spins, strict=True)
        }
        if self.options.shortcuts == "shared":
            policy |= {name: policy[leader] for name, leader in shortcut_leaders(policy).items()}
        return None if set(policy.values()) <= {bits} else policy

    def _spin(self, probabilities: Sequence[float], spin: float) -> int:
        """Return the bit-width whose share of the wheel holds ``spin``, which lies in [0, 1)."""
        return self.bitset[bisect(list(accumulate(probabilities))[:-1], spin)]

    def _probabilities(self, layers: Sequence[str]) -> Odds:
        """Return how likely each layer draws which bit-width.

        Raises:
            SpecError: there are no scores of layers to go by.
        """
        options = self.options
        sensitive: frozenset[str] = frozenset()
        if options.sampling == "roulette":
            if self._scores is None:
                raise SpecError(f"Method 'hasb': {_UNGUIDED}.")
            traces = {name: self._scores.of_layer(name) for name in layers}
            sensitive = sensitive_layers(traces, options.sensitive_limit)
        tilt = 0.0
        if options.mean_bits is not None and layers:
            tilt = tilt_to(self.bitset, len(sensitive) / len(layers), options.mean_bits)
        kinds = {kind: roulette_probabilities(self.bitset, kind, tilt) for kind in (False, True)}
        return {name: kinds[name in sensitive] for name in layers}

    def skip(self, spec: "RunSpec") -> str | None:
        mean = self.options.mean_bits
        if self.options.sampling == "roulette" and spec.sensitivity is None:
            return _UNGUIDED
        if mean is not None and not spec.bitset[-1] < mean < spec.bitset[0]:
            listed = format_bitset(spec.bitset)
            return (
                f"no draw from {listed} has a mean of {mean:g} bits, as its option mean_bits asks"
            )
        hollow = self.options.visits == "sandwich" and not self.options.random_passes
        if hollow and len(spec.bitset) > 2:
            return "a sandwich without random passes trains the widest and the narrowest alone"
        return None
