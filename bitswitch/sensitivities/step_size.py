"""Step sizes as importance: what LIMPQ reads off a network that was trained with learned scales."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from bitswitch.contracts.sensitivity import (
    Operand,
    Score,
    ScoringInput,
    Sensitivity,
    SensitivityScores,
)
from bitswitch.errors import SpecError
from bitswitch.nn.layers import QuantizedLayer
from bitswitch.quant.quantizer import Quantizer, Width
from bitswitch.runtime import transfers
from bitswitch.types import BitSet, Strict

FORBIDDEN = 1e8
"""Score of a bit-width that no search should choose; public code."""


class StepSize(Sensitivity):
    """The learned scale of weights and inputs of every layer at every bit-width; sees no data.

    Its place is behind a joint training such as method ``limpq``: scales that were only initialised
    say how wide the values spread, and nothing of what the network needs. It serves every method
    with learned scales, but where one scale is shared by all bit-widths (``double-rounding``), the
    scale of b bits is scale * 2^(widest - b), and bit-widths differ by that factor alone. Several
    scales, one per output channel, count by their mean. A scale has the unit of what it quantizes,
    so layers with larger weights look more important.

    Source: tang2022mixed and its public code (importance indicators).
    """

    source = "tang2022mixed"

    class Options(Strict):
        """What is reported."""

        outliers: Literal["keep", "forbid"] = "keep"
        """``forbid``: a bit-width with a smaller scale than the next wider one is an accident of
        training, and scores so high that no search takes it. Search ``limpq`` has this rule itself;
        the two do not go together."""

    options: Options

    @torch.no_grad()
    def score(self, subject: ScoringInput) -> SensitivityScores:
        scores = []
        forbidden = 0
        for name, layer in subject.model.layers.items():
            for operand, scales in _scales(name, layer, subject):
                values = scales
                if self.options.outliers == "forbid":
                    values = without_outliers(scales)
                    forbidden += values.count(FORBIDDEN)
                scores += [
                    Score(name, operand, bits, value)
                    for bits, value in zip(subject.bitset, values, strict=True)
                ]
        return SensitivityScores(scores, {"forbidden": forbidden})


def without_outliers(scales: Sequence[float]) -> list[float]:
    """Return ``scales``, widest bit-width first, with outliers replaced by ``FORBIDDEN``.

    An outlier is smaller than the scale of the next wider bit-width, itself an outlier or not.

    >>> without_outliers([0.1, 0.3, 0.2, 0.25])
    [0.1, 0.3, 100000000.0, 0.25]
    """
    narrower = [FORBIDDEN if scale < wider else scale for wider, scale in pairwise(scales)]
    return [*scales[:1], *narrower]


def _scales(
    name: str, layer: QuantizedLayer, subject: ScoringInput
) -> Iterator[tuple[Operand, list[float]]]:
    """Yield the scales of both operands of a layer, in the order of the bit set.

    Raises:
        SpecError: an operand has no learned scale.
    """
    model, bitset = subject.model, subject.bitset
    # A scale does not depend on the values that it quantizes; inputs are not at hand.
    examples: dict[Operand, tuple[Quantizer, Tensor]] = {
        "weight": (layer.weight_quantizer, layer.weight),
        "activation": (layer.activation_quantizer, layer.weight.new_zeros(1)),
    }
    if layer.float_input:
        del examples["activation"]
    for operand, (quantizer, example) in examples.items():
        if not quantizer.scales():
            raise SpecError(
                f"Layer '{name}' has no learned scale for its {operand}s, and step sizes are all "
                f"that this sensitivity reads.\n"
                f"  Score a network of method limpq, or of another one that learns its scales, or "
                f"take another sensitivity, e.g. quantization-error."
            )
        yield operand, [_scale(quantizer, example, bits, model.bitset) for bits in bitset]


def _scale(quantizer: Quantizer, example: Tensor, bits: int, bitset: BitSet) -> float:
    """Return the mean worth of one code."""
    scale: float = transfers.to_host(quantizer.encode(example, Width.of(bits, bitset)).scale.mean())
    return scale
