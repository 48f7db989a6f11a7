"""RTN: nothing is trained, every weight takes the nearest point of its grid."""

from typing import ClassVar

from torch import Tensor

from bitswitch.contracts.card import Card
from bitswitch.contracts.method import Method
from bitswitch.methods.gptq.grids import ClipName, GridName, GridRule
from bitswitch.methods.gptq.nearest import NearestQuantizer
from bitswitch.quant.granularity import (
    PER_TENSOR,
    ActivationGranularity,
    PerChannel,
    WeightGranularity,
)
from bitswitch.quant.lsq import activation_quantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import Strict


class Rounding(Strict):
    """Grids of weights and inputs that are rounded to; what RTN, GPTQ and MatGPTQ share."""

    weight_granularity: WeightGranularity = PerChannel()
    """Which weights share a grid."""
    grid: GridName = "symmetric"
    """Where grids end."""
    clip: ClipName = "none"
    """``mse``: of the shares 1.0, 0.98, ... 0.3 of the extremes, that of the least error."""
    activation_granularity: ActivationGranularity = PER_TENSOR
    """Which input values share a scale: measured before, or ``per-token``, as they come."""

    @property
    def rule(self) -> GridRule:
        """Grids of weights."""
        return GridRule(self.weight_granularity, self.grid, self.clip)


class Rtn(Method):
    """Round to nearest: the reference that every other post-training method has to beat."""

    source = "frantar2023gptq"
    trains = False
    card: ClassVar[Card] = Card(
        title="RTN",
        fidelity="equations",
        storage="floats",
        licence="none needed",
        left_open="Every bit-width has a grid of its own, from the float weights. A symmetric "
        "grid of 2 bits is ternary, with steps of max|w|: most weights become zero. The option "
        "clip searches a narrower one.",
        deviations="Inputs, where they are quantized, have a static range from a few training "
        "batches, or one per token.",
    )

    class Options(Rounding):
        """Defaults as commonly meant."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return NearestQuantizer(weight, self.bitset, self.options.rule)

    def activation_quantizer(self) -> Quantizer:
        return activation_quantizer(self.options.activation_granularity, self.bitset)
