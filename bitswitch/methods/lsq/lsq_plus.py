"""LSQ+: learned scales and, for activations, learned zero points; one network per bit-width."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from bitswitch.contracts.card import Card
from bitswitch.contracts.method import Method
from bitswitch.methods.lsq.affine import AffineActivationQuantizer
from bitswitch.methods.lsq.lsq import one_width_only
from bitswitch.quant.granularity import PER_TENSOR, WeightGranularity
from bitswitch.quant.lsq import WeightQuantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import MAX_BITS, MIN_BITS, Strict

if TYPE_CHECKING:
    from bitswitch.spec.run import RunSpec


class LsqPlus(Method):
    """Configuration 4: unsigned, asymmetric activations; signed, symmetric weights."""

    source = "bhalgat2020lsq"
    card: ClassVar[Card] = Card(
        title="LSQ+",
        fidelity="equations",
        storage="floats",
        licence="no public code",
        left_open="The gradient of the zero point (offset) is multiplied like that of the scale, "
        "with the features of one image counted. The training recipe is not stated in "
        "full, so that there is no published one.",
        deviations="Initial activation scales and zero points minimise the squared error on inputs "
        "of the full-precision network by alternating least squares instead of gradient descent. "
        "Zeros that pad an input stay zero even where the grid has no zero.",
    )

    class Options(Strict):
        """Defaults as published, but for the first and last layer."""

        weight_granularity: WeightGranularity = PER_TENSOR
        """Which weights share a scale; one per layer as published, ``per-tensor``."""
        first_last_bits: Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)] | None = None
        """Of the first and last layer; 8 in most publications. None: full precision."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        granularity = self.options.weight_granularity
        return WeightQuantizer(weight, self.bitset, granularity, init="three-sigma")

    def activation_quantizer(self) -> Quantizer:
        return AffineActivationQuantizer(self.bitset)

    def skip(self, spec: "RunSpec") -> str | None:
        return one_width_only("LSQ+", spec)
