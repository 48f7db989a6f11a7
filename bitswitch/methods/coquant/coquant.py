"""CoQuant: an adaptively chosen teacher for every bit-width, and some of its blocks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from bitswitch.contracts.card import Card, Recipe
from bitswitch.contracts.method import Method, Pass, PassContext, StepInfo
from bitswitch.contracts.task import rows_of
from bitswitch.methods.coquant.distances import Distances
from bitswitch.nn.blocks import draw_blocks
from bitswitch.quant.clipped import ClipInit, LearnedClipQuantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.quant.tanh import Rescale, Scheme, TanhQuantizer
from bitswitch.types import Strict

if TYPE_CHECKING:
    from bitswitch.nn.model import QuantizedModel
    from bitswitch.spec.run import RunSpec
    from bitswitch.spec.training import TrainingSpec

CLIP = 8.0
"""Initial clip of activations, as in the code of jin2020adabits."""


class CoQuant(Method):
    """A narrow network learns from the wider one whose predictions are nearest to its own.

    Now and then its blocks are replaced by those of that teacher.
    """

    source = "sun2024improved"
    reads_all_logits = True
    card: ClassVar[Card] = Card(
        title="CoQuant",
        fidelity="partial",
        storage="floats",
        licence="no public code",
        left_open="How the teacher is chosen: the wider bit-width with the smallest "
        "Kullback-Leibler divergence from its predictions to the student's, a running mean over "
        "steps. How often blocks are swapped: with probability 0.5 at first, falling linearly to "
        "0. How much the teacher counts: half of the loss. Which quantizers are used: those of "
        "SAT, with a batch norm and an activation clip per bit-width.",
        deviations="As for every method, the first and last layer keep full precision, and the "
        "network starts from a trained one.",
        missing="Only what the abstract says was at hand: joint training, a teacher chosen "
        "adaptively and random swapping of blocks follow it; the rule of choice, the schedule "
        "of swapping, the weights of the loss and the recipe may differ.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = {
        "imagenet": Recipe(
            {"epochs": 100}  # huang2025nearly
        )
    }

    class Options(Strict):
        """What the abstract leaves open is chosen here."""

        teacher: Literal["nearest", "above", "widest"] = "nearest"
        """Which wider bit-width teaches; ``nearest``: the one with the most similar predictions."""
        share: Annotated[float, Field(ge=0, le=1)] = 0.5
        """Of the teacher in the loss; the rest goes to the labels."""
        swap: Annotated[float, Field(ge=0, le=1)] = 0.5
        """Probability that a block is the teacher's, at the start of training."""
        swap_schedule: Literal["linear", "constant"] = "linear"
        """``linear``: the probability falls to zero at the end."""
        scheme: Scheme = "original"
        """Grid of the weights."""
        rescale: Rescale = "constant"
        """What multiplies the weights' grid."""
        clip_init: ClipInit = "range"
        """How activation clips start."""

    options: Options
    _distances: Distances | None = None

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return TanhQuantizer(self.options.scheme, self.options.rescale)

    def activation_quantizer(self) -> Quantizer:
        return LearnedClipQuantizer(self.bitset, CLIP, init=self.options.clip_init)

    def on_quantized(self, model: "QuantizedModel", outputs: int) -> None:
        model.memory = self._distances = Distances(len(self.bitset))

    def passes(
        self, training: "TrainingSpec", step_info: StepInfo, layers: Sequence[str]
    ) -> list[Pass]:
        """Return one pass per bit-width, widest first; from the second on with a teacher."""
        update, share = training.update == "separate", self.options.share
        chance = self.options.swap
        if self.options.swap_schedule == "linear":
            chance *= 1 - step_info.progress
        passes = [Pass(self.bitset[0], update=update)]
        for student, bits in enumerate(self.bitset[1:], start=1):
            teacher = self._teacher(student)
            swapped = draw_blocks(layers, chance, step_info.generator)
            policy = {n: self.bitset[teacher] if n in swapped else bits for n in layers}
            mixed = policy if swapped else None
            passes.append(
                Pass(bits, policy=mixed, teacher=teacher, distill_weight=share, update=update)
            )
        return passes

    def _teacher(self, student: int) -> int:
        """Return the position of the bit-width that teaches the one at ``student``."""
        if self.options.teacher == "widest":
            return 0
        if self.options.teacher == "above" or self._distances is None:
            return student - 1
        return self._distances.nearest(student)

    def loss(self, context: PassContext) -> Tensor:
        """Return the default loss; distances to all possible teachers are noted."""
        if context.previous_logits and self._distances is not None:
            rows = rows_of(self.task, "Method 'coquant'").rows
            teachers = [rows(one) for one in context.previous_logits]
            noted = self._distances.note(rows(context.logits), teachers)
            context.request(noted, self._distances.learn)
        return super().loss(context)

    def skip(self, spec: "RunSpec") -> str | None:
        if spec.training.distillation != "none":
            return "it chooses teachers itself: training.distillation must be 'none'"
        if spec.training.accumulate > 1:
            return "it compares bit-widths on whole batches: training.accumulate must be 1"
        return None
