"""MatGPTQ: GPTQ that chooses one wide code per weight, good at all bit-widths sliced from it."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import NonNegativeFloat, model_validator
from torch import Tensor

from bitswitch.contracts.card import Card, ExamplePasses, Workload
from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import Method
from bitswitch.methods.gptq.calibration import fit_in_order
from bitswitch.methods.gptq.fixed import FixedSlicedQuantizer
from bitswitch.methods.gptq.gptq import Sweeping, sweeping_work, swept
from bitswitch.methods.gptq.grids import GridName
from bitswitch.methods.gptq.rounders import SliceRounder
from bitswitch.nn.feed import first_examples
from bitswitch.nn.layers import QuantizedLayer
from bitswitch.nn.model import QuantizedModel
from bitswitch.quant.lsq import activation_quantizer
from bitswitch.quant.quantizer import Quantizer, Width

if TYPE_CHECKING:
    from bitswitch.spec.run import RunSpec


class MatGptq(Method):
    """One sweep per layer for all bit-widths."""

    source = "kleinegger2026matgptq"
    trains = False
    card: ClassVar[Card] = Card(
        title="MatGPTQ",
        fidelity="vectors",
        storage="codes",
        licence="MIT",
        left_open="As in the public code, the error that later weights make up for is the plain "
        "mean over all bit-widths, whatever the weights of the objective are. The published runs "
        "share grids within groups of 128 inputs; the default is a grid for each output.",
        deviations="Inputs of a layer come from layers that are rounded already, one after "
        "another, not block by block. Grids of a group are always fitted to the weights as they "
        "are by then; the public code does so where groups begin with its blocks of 128. Examples "
        "are training examples of the data set. The evolutionary search of bit-widths is no part "
        "of the method: any search serves.",
    )

    class Options(Sweeping):
        """Defaults as published, but for the granularity."""

        grid: GridName = "full-range"
        objective: tuple[NonNegativeFloat, ...] | None = None
        """Weights of the squared errors, widest bit-width first; None: all 1."""

        @model_validator(mode="after")
        def _objective_counts(self) -> "MatGptq.Options":
            if self.objective is not None and not any(self.objective):
                raise ValueError("objective is all zero: every code would do")
            return self

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return FixedSlicedQuantizer(weight, self.bitset, self.options.rule)

    def activation_quantizer(self) -> Quantizer:
        return activation_quantizer(self.options.activation_granularity, self.bitset)

    def finish(self, model: QuantizedModel, batches: Callable[[], Iterator[Batch]]) -> None:
        """Choose the wide codes, first layer to last; inputs come from the widest bit-width."""
        model.eval()
        with model.at(self.bitset[0]):
            inputs = first_examples((batch.inputs for batch in batches()), self.options.examples)
            fit_in_order(model, inputs, self._fit)

    def finish_work(self, extent: Workload) -> ExamplePasses:
        return sweeping_work(self.options, extent, 1)

    def skip(self, spec: "RunSpec") -> str | None:
        objective = self.options.objective
        if objective is None or len(objective) == len(spec.bitset):
            return None
        return f"its objective has {len(objective)} weights for {len(spec.bitset)} bit-widths"

    def _fit(self, layer: QuantizedLayer, hessian: Tensor) -> None:
        options, quantizer = self.options, layer.weight_quantizer
        assert isinstance(quantizer, FixedSlicedQuantizer)
        weights = options.objective or (1.0,) * len(self.bitset)
        rounder = SliceRounder(
            Width.of(self.bitset[0], self.bitset),
            options.rule,
            dict(zip(self.bitset, weights, strict=True)),
        )
        codes = swept(layer, hessian, rounder, options)
        quantizer.fix(codes, rounder.fitted(layer.weight))
