"""GPTQ: nothing is trained; every bit-width rounds anew, later weights make up for earlier ones."""

from collections.abc import Callable, Iterator
from typing import ClassVar, Self

from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from bitswitch.contracts.card import Card, ExamplePasses, Workload
from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import Method
from bitswitch.methods.gptq.calibration import blocks_of, fit_in_order
from bitswitch.methods.gptq.fixed import FixedNearestQuantizer
from bitswitch.methods.gptq.grids import GridName
from bitswitch.methods.gptq.rounders import GridRounder
from bitswitch.methods.gptq.rtn import Rounding
from bitswitch.methods.gptq.sweep import Order, prepared, sweep
from bitswitch.nn.feed import first_examples
from bitswitch.nn.layers import QuantizedLayer
from bitswitch.nn.model import QuantizedModel
from bitswitch.quant.granularity import PerGroup
from bitswitch.quant.lsq import activation_quantizer
from bitswitch.quant.quantizer import Quantizer, Width


class Sweeping(Rounding):
    """How columns are rounded; what GPTQ and MatGPTQ share.

    Grids of a group are fitted when the sweep comes to it.
    """

    grid: GridName = "asymmetric"
    examples: PositiveInt = 128
    """Training examples, images or windows of text, whose inputs count."""
    damping: float = Field(0.01, gt=0)
    """Share of the mean diagonal of the Hessian that is added to it."""
    falling_order: bool = False
    """Round inputs of large second moment first, which the public code calls act-order."""

    @model_validator(mode="after")
    def _groups_stay_together(self) -> Self:
        if self.falling_order and isinstance(self.weight_granularity, PerGroup):
            raise ValueError(
                "falling_order tears groups apart: take weight_granularity per-channel or "
                "per-tensor with it"
            )
        return self


class Gptq(Method):
    """Second-order rounding, for each bit-width on its own."""

    source = "frantar2023gptq"
    trains = False
    card: ClassVar[Card] = Card(
        title="GPTQ",
        fidelity="vectors",
        storage="floats",
        licence="MIT",
        left_open="Vectors are those of the GPTQ in the public code of MatGPTQ. Every bit-width is "
        "a network of its own; what is kept counts as float weights, from which all are made.",
        deviations="Inputs of a layer come from layers that are rounded already, one after "
        "another, not block by block. Grids of a group are always fitted to the weights as they "
        "are by then. Examples are training examples of the data set, augmented as in training.",
    )

    class Options(Sweeping):
        """Defaults as published."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return FixedNearestQuantizer(weight, self.bitset, self.options.rule)

    def activation_quantizer(self) -> Quantizer:
        return activation_quantizer(self.options.activation_granularity, self.bitset)

    def finish(self, model: QuantizedModel, batches: Callable[[], Iterator[Batch]]) -> None:
        """Choose the codes of every bit-width, first layer to last."""
        inputs = first_examples((batch.inputs for batch in batches()), self.options.examples)
        model.eval()
        for bits in model.bitset:
            with model.at(bits):
                fit_in_order(model, inputs, lambda layer, h, bits=bits: self._fit(layer, h, bits))  # type: ignore[misc]

    def finish_work(self, extent: Workload) -> ExamplePasses:
        """Return what calibration takes: on average, an example passes half of the network."""
        return sweeping_work(self.options, extent, len(self.bitset))

    def _fit(self, layer: QuantizedLayer, hessian: Tensor, bits: int) -> None:
        options, quantizer = self.options, layer.weight_quantizer
        assert isinstance(quantizer, FixedNearestQuantizer)
        rounder = GridRounder(Width.of(bits, self.bitset), options.rule)
        codes = swept(layer, hessian, rounder, options)
        quantizer.fix(bits, codes, rounder.fitted(layer.weight))


def swept(
    layer: QuantizedLayer, hessian: Tensor, rounder: GridRounder, options: Sweeping
) -> Tensor:
    """Return the codes of the weight of ``layer``, in its shape."""
    order = Order(rounder.group(layer.weight), options.falling_order)
    weight, hessian = prepared(blocks_of(layer, layer.weight), hessian)
    return sweep(weight, hessian, rounder, order, options.damping).reshape(layer.weight.shape)


def sweeping_work(options: Sweeping, extent: Workload, runs: int) -> ExamplePasses:
    """Return what so many ``runs`` of ``fit_in_order`` take.

    All layers are counted as if each read a tensor of its own.
    """
    examples = min(options.examples, extent.epoch_examples)
    return ExamplePasses(forward=runs * examples * (extent.layers + 1) / 2)
