"""MultiQuant: lowest, random and highest bit-widths learn labels of the network's own making."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from bitswitch.contracts.card import Card, Recipe
from bitswitch.contracts.method import Method, Pass, PassContext, StepInfo
from bitswitch.contracts.task import rows_of
from bitswitch.methods.multiquant.adaptive_labels import AdaptiveLabels
from bitswitch.nn.policy import random_policy
from bitswitch.plugins import facts
from bitswitch.quant.granularity import PER_TENSOR, WeightGranularity
from bitswitch.quant.lsq import ActivationQuantizer, InitName, WeightQuantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import Strict

if TYPE_CHECKING:
    from bitswitch.nn.model import QuantizedModel
    from bitswitch.spec.run import RunSpec
    from bitswitch.spec.training import TrainingSpec

MOST_CLASSES = 4096
"""Of which every pair has a number."""


class MultiQuant(Method):
    """Three passes per step share one optimizer step; labels adapt from epoch to epoch."""

    source = "xu2022multiquant"
    card: ClassVar[Card] = Card(
        title="MultiQuant",
        fidelity="partial",
        storage="floats",
        licence="no public code",
        left_open="The online label: as in "
        "online label smoothing (zhang2021delving), a soft label per class, the mean prediction "
        "for correctly classified images of the epoch before, mixed half and half with the "
        "one-hot label; the highest bit-width alone makes it. What is random: one bit-width per "
        "layer, for weights and inputs. Quantizers: a learned scale per bit-width, for weights "
        "per layer. Batch norm: one copy per bit-width. Optimizer and learning rate: those of "
        "the suite.",
        deviations="The genetic search with its accuracy predictor is no part of the method "
        "here: any search of bitswitch may choose the policy of a trained network.",
        missing="Only its abstract and what other publications say of it were at hand: "
        "the lowest-random-highest passes and the online label follow it; quantizers, mixing "
        "of labels and the recipe may differ.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = {
        "imagenet": Recipe(  # 90 epochs: huang2025nearly, Table 1; the rest is not known
            {"epochs": 90}
        )
    }

    class Options(Strict):
        """Chosen here, where the abstract leaves it open."""

        label_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
        """Share of the adaptive label; the rest goes to the one-hot label. zhang2021delving."""
        label_source: Literal["highest", "every"] = "highest"
        """Whose predictions make the adaptive label: the highest bit-width's, or every pass's."""
        operands: Literal["shared", "independent"] = "shared"
        """Random bit-widths: one per layer, or one for its weights and one for its inputs."""
        weight_granularity: WeightGranularity = PER_TENSOR
        """Which weights share a scale."""
        activation_init: InitName = "mean"
        """How activation scales start."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return WeightQuantizer(weight, self.bitset, self.options.weight_granularity)

    def activation_quantizer(self) -> Quantizer:
        return ActivationQuantizer(self.bitset, self.options.activation_init)

    def on_quantized(self, model: "QuantizedModel", outputs: int) -> None:
        """Give the model labels to adapt."""
        model.memory = AdaptiveLabels(outputs)

    def passes(
        self, training: "TrainingSpec", step_info: StepInfo, layers: Sequence[str]
    ) -> list[Pass]:
        """Return the lowest, a random and the highest bit-width."""
        update, independent = training.update == "separate", self.options.operands == "independent"
        highest = Pass(self.bitset[0], update=update)
        if len(self.bitset) == 1:
            return [highest]
        policy = random_policy(layers, self.bitset, step_info.generator, independent)
        return [Pass(self.bitset[-1], update=update), Pass(None, policy, update=update), highest]

    def loss(self, context: PassContext) -> Tensor:
        """Return the cross-entropy to the adaptive labels, which learn from the highest pass."""
        rows = rows_of(self.task, "Method 'multiquant'")
        labels, logits = context.model.memory, rows.rows(context.logits)
        assert isinstance(labels, AdaptiveLabels)
        targets = rows.labels(context.batch.targets)
        share = self.options.label_weight
        labels.begin(context.step_info.epoch)
        learned = labels.mixed(rows.labels(context.targets), targets, share)
        if self.options.label_source == "every" or context.current.bits == self.bitset[0]:
            labels.note(logits, targets, context.total)
        return cross_entropy(logits, learned)

    def skip(self, spec: "RunSpec") -> str | None:
        if spec.training.distillation != "none":
            return "it makes its own soft labels: training.distillation must be 'none'"
        classes = facts.dataset_facts(spec.dataset.name, spec.dataset.options)["outputs"]
        if classes > MOST_CLASSES:
            return (
                f"its soft labels are a row of {classes} numbers for each of {classes} outputs; "
                f"it takes {MOST_CLASSES} outputs at most"
            )
        return None
