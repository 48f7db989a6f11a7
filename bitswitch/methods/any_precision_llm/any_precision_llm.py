"""Any-Precision LLM: nothing is trained; clusters of weights are split from width to width."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from bitswitch.contracts.card import Card, ExamplePasses, Workload
from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import Method
from bitswitch.contracts.task import Task
from bitswitch.methods.any_precision_llm.tables import TableQuantizer
from bitswitch.nn.model import QuantizedModel
from bitswitch.quant.granularity import (
    PER_TENSOR,
    ActivationGranularity,
    PerChannel,
    WeightGranularity,
)
from bitswitch.quant.lsq import activation_quantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import FLOAT_BITS, MAX_BITS, MIN_BITS, Strict

if TYPE_CHECKING:
    from bitswitch.spec.run import RunSpec


class AnyPrecisionLlm(Method):
    """One label of 8 bits per weight; its upper bits find the weight of fewer."""

    source = "park2024anyprecision"
    trains = False
    card: ClassVar[Card] = Card(
        title="Any-Precision LLM",
        fidelity="equations",
        storage="tables",
        licence="MIT",
        left_open="Tables of 2^b values for every output and bit-width are kept besides labels of "
        "8 bits: where outputs have few inputs, they are larger than the weights.",
        deviations="Clusters to start from are the best of four fixed starts of k-means, where "
        "the public code draws one. Clusters are split at the best of all places; the public code "
        "searches one that nearest centroids keep, which is another where there are several. "
        "Tables are float32 throughout: half precision fails at 2 bits. Inputs, where they are "
        "quantized, have a static range from a few training batches, or one per token.",
    )

    class Options(Strict):
        """Defaults as published, but for the seed."""

        weight_granularity: WeightGranularity = PerChannel()
        """Which weights share tables."""
        seed_bits: Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)] | None = None
        """Bits of the clusters that k-means finds; None: the fewest of the bit set. The publication
        has 3."""
        examples: PositiveInt = 100
        """Training examples, images or windows of text, whose gradients say how weights matter."""
        activation_granularity: ActivationGranularity = PER_TENSOR
        """Which input values share a scale: measured before, or ``per-token``, as they come."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return TableQuantizer(weight, self.bitset, self.options.weight_granularity)

    def activation_quantizer(self) -> Quantizer:
        return activation_quantizer(self.options.activation_granularity, self.bitset)

    def finish(self, model: QuantizedModel, batches: Callable[[], Iterator[Batch]]) -> None:
        """Cluster the weights of every layer, by the squared gradients of some examples."""
        model.eval()
        found = squared_gradients(model, _singles(batches(), self.options.examples), self.task)
        seed = self.options.seed_bits or self.bitset[-1]
        for layer, importance in zip(model.layers.values(), found, strict=True):
            quantizer = layer.weight_quantizer
            assert isinstance(quantizer, TableQuantizer)
            quantizer.fit(layer.weight, importance, seed)

    def finish_work(self, extent: Workload) -> ExamplePasses:
        return ExamplePasses(trained=min(self.options.examples, extent.epoch_examples))

    def skip(self, spec: "RunSpec") -> str | None:
        seed = self.options.seed_bits
        if seed is None or seed <= spec.bitset[-1]:
            return None
        return f"clusters of {seed} bits give no weights of {spec.bitset[-1]} bits"


def squared_gradients(model: QuantizedModel, examples: Iterable[Batch], task: Task) -> list[Tensor]:
    """Return the sum of the squared gradients of every switchable layer's weight, in order.

    Args:
        model: In evaluation mode; is run at full precision.
        examples: Batches, each of which has one gradient.
        task: Whose loss counts.

    Source: kim2024squeezellm, section 4.1 (Fisher information).
    """
    weights = [layer.weight for layer in model.layers.values()]
    found = [torch.zeros_like(weight) for weight in weights]
    with model.at(FLOAT_BITS), torch.enable_grad():
        for example in examples:
            loss = task.loss(model(example.inputs), example.targets)
            for total, grad in zip(found, torch.autograd.grad(loss, weights), strict=True):
                total.add_(grad.square())
    return found


def _singles(batches: Iterable[Batch], count: int) -> Iterator[Batch]:
    """Yield the first ``count`` examples one by one; all, if there are fewer."""
    return islice(
        (
            Batch(*(part[place : place + 1] for part in batch))
            for batch in batches
            for place in range(len(batch.inputs))
        ),
        count,
    )
