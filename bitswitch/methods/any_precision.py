"""Any-Precision: DoReFa quantizers times mean|w|; every bit-width learns from a wider one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.contracts.card import Card, Recipe
from bitswitch.contracts.method import Method, Pass, StepInfo
from bitswitch.nn.norms.switchable import SwitchableBatchNorm
from bitswitch.nn.norms.with_float import FloatSwitchableBatchNorm
from bitswitch.quant.clipped import ClippedQuantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.quant.tanh import TanhQuantizer
from bitswitch.types import FLOAT_BITS, Strict

if TYPE_CHECKING:
    from bitswitch.spec.run import RunSpec
    from bitswitch.spec.training import TrainingSpec

_RECIPE = {
    "schedule": "step",
    "decay": 0.1,
}


class AnyPrecision(Method):
    """One set of float weights; predictions of one bit-width are the labels of the next."""

    source = "yu2021anyprecision"
    card: ClassVar[Card] = Card(
        title="Any-Precision",
        fidelity="vectors",
        storage="floats",
        licence="CC BY-NC 4.0",
        left_open="The text derives narrow weights by dropping bits; the code quantizes the float "
        "weights anew at every bit-width, and so does this. The published networks were "
        "pretrained with the same tanh and scale; here an ordinary network is the start, which "
        "takes some training to get used to them.",
        deviations="There is no 1 bit. Full precision uses weights and inputs as they are, "
        "without tanh. Convolutions and batch norms in shortcuts are switched like all others. "
        "Inputs that are negative somewhere are clipped to [-1, 1] instead of [0, 1], on the grid "
        "of the code of AdaBits.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = {
        "cifar10": Recipe(
            options={"float_pass": True},
            training=_RECIPE
            | {
                "epochs": 200,
                "batch_size": 128,
                "optimizer": "adam",
                "learning_rate": 1e-3,
                "weight_decay": 0.0,
                "milestones": (0.5, 0.75, 0.9),
            },
        ),
        "imagenet": Recipe(
            options={"float_pass": True},
            training=_RECIPE
            | {
                "epochs": 80,
                "batch_size": 256,
                "optimizer": "sgd",
                "learning_rate": 0.5,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 1e-5,
                "milestones": (0.5625, 0.75, 0.875),
            },
        ),
    }

    class Options(Strict):
        """Defaults as published."""

        distillation: Literal["recursive", "hard", "teacher"] = "recursive"
        """Who teaches: the next wider pass (the first learns from the labels), nobody, or
        the full-precision pass all others."""
        float_pass: bool = False
        """Train at full precision too, before the widest bit-width; ``teacher`` always does."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return TanhQuantizer("original", rescale="mean")

    def activation_quantizer(self) -> Quantizer:
        return ClippedQuantizer()

    def normalization(self, norm: _BatchNorm) -> nn.Module:
        kind = FloatSwitchableBatchNorm if self._has_float_pass else SwitchableBatchNorm
        return kind(norm, self.bitset)

    def passes(
        self, training: "TrainingSpec", step_info: StepInfo, layers: Sequence[str]
    ) -> list[Pass]:
        bitset = (FLOAT_BITS, *self.bitset) if self._has_float_pass else self.bitset
        update = training.update == "separate"
        return [
            Pass(bits, teacher=self._teacher(position), update=update)
            for position, bits in enumerate(bitset)
        ]

    def skip(self, spec: "RunSpec") -> str | None:
        if spec.training.distillation == "none":
            return None
        return "Any-Precision distils by its own option; training.distillation must be none"

    @property
    def _has_float_pass(self) -> bool:
        return self.options.float_pass or self.options.distillation == "teacher"

    def _teacher(self, position: int) -> int | None:
        """Return the position of the pass that teaches the one at ``position``."""
        if position == 0 or self.options.distillation == "hard":
            return None
        return 0 if self.options.distillation == "teacher" else position - 1
