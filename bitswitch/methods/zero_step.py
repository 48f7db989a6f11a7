"""Zero-step: the start of Double Rounding as it is, which training has to beat."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import ClassVar

from pydantic import PositiveInt

from bitswitch.contracts.card import Card, ExamplePasses, Recipe, Workload
from bitswitch.contracts.data import Batch
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.recalibration import recalibrate


class ZeroStep(DoubleRounding):
    """A trained network at its initial scales; only the statistics of batch norm are new."""

    source = "bitswitch"
    trains = False
    card: ClassVar[Card] = Card(
        title="Zero-step",
        fidelity="vectors",
        storage="codes",
        licence="none needed",
        left_open="What Double Rounding starts from: weights, and scales as it sets them. Batch "
        "norms average evenly over a few training batches at every bit-width; without that, narrow "
        "bit-widths are near guessing, and any training at all would look like a gain.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = {}

    class Options(DoubleRounding.Options):
        """Those of Double Rounding, and what batch norms see."""

        recalibration_batches: PositiveInt = 8
        """Training batches on which batch norm is recalibrated for every bit-width."""

    options: Options

    def finish(self, model: QuantizedModel, batches: Callable[[], Iterator[Batch]]) -> None:
        count = self.options.recalibration_batches
        recalibrate(model, lambda: (batch.inputs for batch in islice(batches(), count)))

    def finish_work(self, extent: Workload) -> ExamplePasses:
        images = extent.examples(self.options.recalibration_batches)
        return ExamplePasses(forward=len(self.bitset) * images)
