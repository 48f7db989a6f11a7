"""KURE: weights close to uniform survive quantization at any bit-width."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.contracts.card import Card, ExamplePasses, Recipe, Workload
from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import Method, Pass, PassContext, StepInfo
from bitswitch.methods.lapq.clip_value import CANDIDATES, Candidates, FittedClips, LearnedClip
from bitswitch.methods.lapq.lapq import evaluations, fit_clips
from bitswitch.methods.lapq.powell import Budget
from bitswitch.nn.norms.shared import SharedBatchNorm
from bitswitch.quant.quantizer import Quantizer
from bitswitch.quant.regularizers import UNIFORM_KURTOSIS, kurtosis_penalty
from bitswitch.types import FLOAT_BITS, MAX_BITS, MIN_BITS, Strict, format_bitset

if TYPE_CHECKING:
    from bitswitch.nn.model import QuantizedModel
    from bitswitch.spec.run import RunSpec
    from bitswitch.spec.training import TrainingSpec


class Kure(Method):
    """Float training with a penalty on the kurtosis of weights, then quantization."""

    source = "shkolnik2020robust"
    card: ClassVar[Card] = Card(
        title="KURE",
        fidelity="vectors",
        storage="floats",
        licence="no licence stated",
        left_open="How clip values are found after training is that of LAPQ, on which the public "
        "code builds: Powell's method on 512 training images, two iterations for each bit-width, "
        "without correction of weight biases. Momentum (0.9) and weight decay of the float "
        "training are those of the network's recipe.",
        deviations="The penalty is divided by the true number of layers; the public code divides "
        "by constants of three networks, and by nothing for any other. The start of Powell's "
        "method is chosen by the loss on the calibration images, not by accuracy on the images "
        "that the result is tested on, and clip values are varied by factors, not by amounts. "
        "Inputs of layers are quantized, not outputs of ReLUs; they get a signed range where "
        "they are negative somewhere.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = {
        "imagenet": Recipe(
            training={
                "optimizer": "sgd",
                "learning_rate": 1e-3,
                "schedule": "step",
                "milestones": (30 / 90, 60 / 90),
                "decay": 0.1,
                "epochs": 90,
                "batch_size": 256,
            },
        )
    }

    class Options(Strict):
        """Defaults as published."""

        host: Literal["post-training", "lsq"] = "post-training"
        """``post-training``: float training, then LAPQ at every bit-width. ``lsq``: training at one
        bit-width with learned clip values, which serve every other bit-width as they are."""
        strength: NonNegativeFloat = 1.0
        """Factor on the penalty."""
        target: float = UNIFORM_KURTOSIS
        """Kurtosis that costs nothing; 1.8 is that of a uniform distribution."""
        trained_bits: Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)] = 4
        """Bit-width of the training with host ``lsq``."""
        images: PositiveInt = 512
        """Training images on which LAPQ measures the loss."""
        iterations: NonNegativeInt | None = 2
        """Of Powell's method for each bit-width; 0: the best start is taken; None: until it
        converges."""
        evaluations: PositiveInt | None = None
        """Powell's method stops after so many measurements of the loss; None: no limit."""
        candidates: Candidates = CANDIDATES
        """Clip values that are tried for the least error of each operand, before Powell's method:
        1 to 0.01 times the largest magnitude, the widest first."""

    options: Options

    @property
    def _post_training(self) -> bool:
        return self.options.host == "post-training"

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        kind = FittedClips if self._post_training else LearnedClip
        return kind(self.bitset, weight)

    def activation_quantizer(self) -> Quantizer:
        kind = FittedClips if self._post_training else LearnedClip
        return kind(self.bitset)

    def normalization(self, norm: _BatchNorm) -> nn.Module:
        return SharedBatchNorm(norm, self.bitset)

    def passes(
        self, training: "TrainingSpec", step_info: StepInfo, layers: Sequence[str]
    ) -> list[Pass]:
        bits = FLOAT_BITS if self._post_training else self.options.trained_bits
        return [Pass(bits, update=training.update == "separate")]

    def loss(self, context: PassContext) -> Tensor:
        """Return the task's loss plus the penalty on all convolutions but the first."""
        modules = context.model.net.modules()
        weights = [module.weight for module in modules if isinstance(module, nn.Conv2d)][1:]
        loss = super().loss(context)
        if not weights:
            return loss
        return loss + self.options.strength * kurtosis_penalty(weights, self.options.target)

    def finish(self, model: "QuantizedModel", batches: Callable[[], Iterator[Batch]]) -> None:
        options = self.options
        if self._post_training:
            pairs = ((batch.inputs, batch.targets) for batch in batches())
            budget = Budget(options.iterations, options.evaluations)
            fit_clips(model, pairs, options.images, budget, self.task.loss_sum, options.candidates)

    def finish_work(self, extent: Workload) -> ExamplePasses:
        if not self._post_training:
            return ExamplePasses()
        options = self.options
        budget = Budget(options.iterations, options.evaluations)
        images = min(options.images, extent.epoch_examples)
        return ExamplePasses(forward=len(self.bitset) * evaluations(extent.layers, budget) * images)

    def skip(self, spec: "RunSpec") -> str | None:
        if spec.training.distillation != "none":
            return "KURE trains in one pass per step: there is nobody to learn from."
        if not self._post_training and self.options.trained_bits not in self.bitset:
            return (
                f"KURE with host lsq trains at {self.options.trained_bits} bit, which is not in "
                f"{format_bitset(self.bitset)}."
            )
        return None
