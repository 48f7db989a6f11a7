"""Q-DNNs: full precision trains along, and every bit-width agrees with the one above it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.contracts.card import Card, Recipe
from bitswitch.contracts.method import Method, Pass, StepInfo
from bitswitch.nn.norms.with_float import FloatSwitchableBatchNorm
from bitswitch.quant.clipped import ClippedQuantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.quant.tanh import TanhQuantizer
from bitswitch.types import FLOAT_BITS, Strict

if TYPE_CHECKING:
    from bitswitch.spec.run import RunSpec
    from bitswitch.spec.training import TrainingSpec


class QDnn(Method):
    """Bit modes, full precision among them, learn labels and each other's predictions."""

    source = "du2020quantizable"
    card: ClassVar[Card] = Card(
        title="Q-DNNs",
        fidelity="partial",
        storage="floats",
        licence="no public code",
        left_open="How much the consistency of predictions counts, and with which mode a mode is "
        "to be consistent: half of its loss, and with the mode above it. Which quantizers are "
        "used: those of DoReFa.",
        deviations="As for every method, the first and last layer keep full precision, and the "
        "network starts from a trained one.",
        missing="Only what the abstract says was at hand: the loss, the batch norms and the set "
        "of modes follow it; weights of the loss, quantizers and recipe may differ.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = {
        "imagenet": Recipe(
            {"epochs": 45}  # huang2025nearly
        )
    }

    class Options(Strict):
        """What the abstract leaves open is chosen here."""

        teacher: Literal["above", "float"] = "above"
        """Whose predictions a mode is to match: the next wider one's, or full precision's."""
        consistency: Annotated[float, Field(ge=0, le=1)] = 0.5
        """Share of the consistency in the loss of a mode; the rest goes to the labels."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return TanhQuantizer("original")

    def activation_quantizer(self) -> Quantizer:
        return ClippedQuantizer()

    def normalization(self, norm: _BatchNorm) -> nn.Module:
        return FloatSwitchableBatchNorm(norm, self.bitset)

    def passes(
        self, training: "TrainingSpec", step_info: StepInfo, layers: Sequence[str]
    ) -> list[Pass]:
        """Return one pass per mode, full precision first."""
        update, options = training.update == "separate", self.options
        modes = [Pass(FLOAT_BITS, update=update)]
        for position, bits in enumerate(self.bitset):
            teacher = position if options.teacher == "above" else 0
            modes.append(
                Pass(bits, teacher=teacher, distill_weight=options.consistency, update=update)
            )
        return modes

    def skip(self, spec: "RunSpec") -> str | None:
        if spec.training.distillation != "none":
            return "its modes teach each other: training.distillation must be 'none'"
        return None
