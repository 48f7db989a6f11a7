"""PTMQ: nothing is trained; rounding and activation scales are learned block by block."""

from collections.abc import Callable, Iterator
from typing import ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from bitswitch.contracts.card import Card, ExamplePasses, Recipe, Workload
from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import Method
from bitswitch.methods.ptmq.adaround import AdaRoundQuantizer
from bitswitch.methods.ptmq.folding import fold_batch_norms
from bitswitch.methods.ptmq.mixing import Group
from bitswitch.methods.ptmq.reconstruction import Reconstruction, reconstruct
from bitswitch.methods.ptmq.squared_error import SquaredErrorActivationQuantizer
from bitswitch.nn.feed import first_examples
from bitswitch.nn.model import QuantizedModel
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import MAX_BITS, MIN_BITS, BitSet

Values = list[tuple[nn.Parameter, Tensor]]
"""Parameters, and values they had."""


class Ptmq(Method):
    """A trained network, its batch norms folded, is rounded for every bit-width."""

    source = "xu2024ptmq"
    trains = False
    card = Card(
        title="PTMQ",
        fidelity="partial",
        storage="floats",
        licence="no public code",
        left_open="Hyperparameters and the bit-widths of the low, medium and high group were not "
        "released: hyperparameters are those of a public reimplementation; the groups of b-bit "
        "weights are b, the middle and the widest of the bit set from b on. Every weight "
        "bit-width learns its own rounding.",
        deviations="The inputs of layers, not the outputs of blocks, are quantized at the three "
        "bit-widths. Weights have no zero-point. A batch norm that does not directly follow a "
        "layer is not folded.",
        missing="Rounding shared by several weight bit-widths, which the publication's overview "
        "suggests, and its mixed-precision results.",
    )
    published_recipes: ClassVar = {"imagenet": Recipe(training={}, options={"first_last_bits": 8})}

    class Options(Reconstruction):
        """Defaults of the public reimplementation."""

        images: PositiveInt = 1024
        """Training images that are looked at."""
        first_last_bits: int | None = Field(None, ge=MIN_BITS, le=MAX_BITS)
        """Weights of the first layer, weights and inputs of the last; None: full precision."""

    options: Options

    def transform_float(self, net: nn.Module) -> nn.Module:
        fold_batch_norms(net)
        return net

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return AdaRoundQuantizer(weight, self.bitset)

    def activation_quantizer(self) -> Quantizer:
        return SquaredErrorActivationQuantizer(self.bitset)

    def finish(self, model: QuantizedModel, batches: Callable[[], Iterator[Batch]]) -> None:
        """Learn the rounding of every bit-width, each from the same activation scales.

        A bit-width keeps the activation scale that was learned with weights of that width. What
        is drawn follows from torch's seed.
        """
        inputs = (batch.inputs for batch in batches())
        images = torch.cat(first_examples(inputs, self.options.images))
        draw = torch.Generator(images.device).manual_seed(torch.initial_seed())
        start, learned = _activation_scales(model, model.bitset), []
        model.eval()
        for bits in model.bitset:
            _restore(start)
            reconstruct(model, images, bits, self.options, draw)
            learned += _activation_scales(model, (bits,))
        _restore(learned)

    def finish_work(self, extent: Workload) -> ExamplePasses:
        """Return what reconstruction takes.

        All units together are the network. What a unit sees has passed half of it, on average.
        """
        options = self.options
        groups = [len(set(Group.of(bits, self.bitset))) for bits in self.bitset]
        images = min(options.images, extent.epoch_examples)
        return ExamplePasses(
            forward=sum(1 + count for count in groups) * extent.layers * images / 2,
            trained=sum(groups) * options.iterations * options.batch_size,
        )


def _activation_scales(model: QuantizedModel, bitset: BitSet) -> Values:
    """Return activation scales of ``bitset``, and their present values."""
    found = [
        layer.activation_quantizer.scales()[f"scale.{bits}"]
        for layer in model.layers.values()
        if not layer.float_input
        for bits in bitset
    ]
    return [(scale, scale.detach().clone()) for scale in found]


@torch.no_grad()
def _restore(values: Values) -> None:
    for parameter, value in values:
        parameter.copy_(value)
