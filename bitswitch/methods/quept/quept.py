"""QuEPT: nothing is trained; adapters and ends of grids are learned block by block."""

import random
from collections.abc import Callable, Iterator
from typing import ClassVar

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from bitswitch.contracts.card import Card, ExamplePasses, Workload
from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import Method
from bitswitch.methods.ptmq.squared_error import SquaredErrorActivationQuantizer
from bitswitch.methods.ptmq.units import features, switchable_layers, units
from bitswitch.methods.quept.adapted import AdaptedQuantizer, Groups
from bitswitch.methods.quept.merging import merged
from bitswitch.nn.feed import first_examples
from bitswitch.nn.layers import QuantizedLayer
from bitswitch.nn.model import QuantizedModel
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import FLOAT_BITS, Strict


class Quept(Method):
    """One calibration for all bit-widths: each step sees one of every group of them."""

    source = "xu2026quept"
    trains = False
    card: ClassVar[Card] = Card(
        title="QuEPT",
        fidelity="partial",
        storage="floats",
        licence="no licence file",
        left_open="Known from its abstract, its supplement and its public code, whose settings for "
        "vision transformers are the defaults. How bit sets other than {8,7,6,5,4} are grouped: "
        "the narrowest alone, the others in halves.",
        deviations="Inputs of a block are merged from three networks, each at one bit-width up to "
        "there, and not from merged inputs of the block before. Inputs of layers have a learned "
        "scale per bit-width that starts at the least squared error, and no zero point.",
        missing="Quantized operands of the products in attention, 8-bit first and last layers, and "
        "moving outliers from inputs of layers that follow a layer norm into weights; language "
        "models with rotations.",
    )

    class Options(Strict):
        """Defaults of the public code for vision transformers."""

        images: PositiveInt = 1024
        """Training images that are looked at."""
        batch_size: PositiveInt = 32
        epochs: PositiveInt = 20
        """Passes over the images, for every block."""
        rank: PositiveInt = 16
        """Of the adapters of the wide bit-widths; the others use two and three times as many."""
        kept: float = Field(0.5, ge=0, le=1)
        """Share of the tokens that are not mixed, but taken from the wide bit-width."""
        adapter_learning_rate: PositiveFloat = 1e-3
        """Adam, cosine to zero, as the next two."""
        clip_learning_rate: PositiveFloat = 1e-2
        """Of the ends of grids."""
        scale_learning_rate: PositiveFloat = 1e-4
        """Of the scales of inputs."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return AdaptedQuantizer(weight, self.bitset, self.options.rank)

    def activation_quantizer(self) -> Quantizer:
        return SquaredErrorActivationQuantizer(self.bitset)

    def finish(self, model: QuantizedModel, batches: Callable[[], Iterator[Batch]]) -> None:
        """Learn from the first training images; what is drawn follows from torch's seed."""
        inputs = (batch.inputs for batch in batches())
        images = torch.cat(first_examples(inputs, self.options.images))
        draw = random.Random(torch.initial_seed())
        model.eval()
        with model.at(model.bitset[0]):
            for unit in units(model.net):
                _Unit(model, unit, self.options).learn(images, draw)

    def finish_work(self, extent: Workload) -> ExamplePasses:
        """Return what it takes: all units together are the network, a unit sees half of it."""
        images = min(self.options.images, extent.epoch_examples)
        return ExamplePasses(
            forward=4 * extent.layers * images / 2, trained=3 * self.options.epochs * images
        )


class _Unit:
    """One block or layer; those before it are done."""

    def __init__(self, model: QuantizedModel, unit: nn.Module, options: Quept.Options) -> None:
        self.model, self.unit, self.options = model, unit, options
        self.groups = Groups.of(model.bitset)
        self.layers = switchable_layers(unit)

    def learn(self, images: Tensor, draw: random.Random) -> None:
        """Make outputs of three bit-widths at a time those of the float unit."""
        options = self.options
        parts = torch.split(images, options.batch_size)
        inputs = [self._merged(part, draw) for part in parts]
        targets = [self._observe(part, FLOAT_BITS)[1] for part in parts]
        optimizer = torch.optim.Adam(self._parameters())
        cosine = CosineAnnealingLR(optimizer, options.epochs * len(parts))
        for _ in range(options.epochs):
            for seen, target in zip(inputs, targets, strict=True):
                optimizer.zero_grad()
                for bits in _one_of_each(self.groups, draw):
                    error = (self._run(seen, bits) - target).abs().sum(1).mean()
                    error.backward(inputs=_leaves(optimizer))  # type: ignore[no-untyped-call]
                optimizer.step()
                cosine.step()
                _keep_positive(self._scales())

    def _merged(self, images: Tensor, draw: random.Random) -> Tensor:
        """Return inputs of the unit, merged from three networks."""
        high, medium, low = (
            self._observe(images, bits)[0] for bits in _one_of_each(self.groups, draw)
        )
        if not high.is_floating_point():
            return high  # tokens of a text, the same at every bit-width
        return merged(high, medium, low, self.options.kept)

    def _observe(self, images: Tensor, bits: int) -> tuple[Tensor, Tensor]:
        """Return input and output of the unit in a network of one bit-width."""
        with self.model.at(bits):
            return features(self.model, self.unit, images, self.options.batch_size)

    def _run(self, inputs: Tensor, bits: int) -> Tensor:
        for layer in self.layers:
            layer.switch(bits, bits)
        output: Tensor = self.unit(inputs)
        return output

    def _parameters(self) -> list[dict[str, object]]:
        options = self.options
        adapted = [_quantizer_of(layer) for layer in self.layers]
        groups: list[tuple[list[nn.Parameter], float]] = [
            ([p for one in adapted for p in (one.left, one.right)], options.adapter_learning_rate),
            (
                [p for one in adapted for p in (one.low_share, one.high_share)],
                options.clip_learning_rate,
            ),
            (self._scales(), options.scale_learning_rate),
        ]
        return [{"params": params, "lr": rate} for params, rate in groups if params]

    def _scales(self) -> list[nn.Parameter]:
        """Return the scales of inputs at all bit-widths."""
        return [
            scale
            for layer in self.layers
            if not layer.float_input
            for scale in layer.activation_quantizer.scales().values()
        ]


def _one_of_each(groups: Groups, draw: random.Random) -> tuple[int, ...]:
    """Return a bit-width of every group, high to low."""
    return tuple(draw.choice(widths) for widths in groups)


def _leaves(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _quantizer_of(layer: QuantizedLayer) -> AdaptedQuantizer:
    assert isinstance(layer.weight_quantizer, AdaptedQuantizer)
    return layer.weight_quantizer


@torch.no_grad()
def _keep_positive(scales: list[nn.Parameter]) -> None:
    """Mirror scales that a step pushed below zero."""
    for scale in scales:
        scale.abs_().clamp_min_(torch.finfo(scale.dtype).eps)
