"""Learn rounding unit by unit, so that features at several bit-widths are those of the float net.

Source: xu2024ptmq; unit by unit: li2021brecq; dropped quantization: wei2022qdrop.
"""

from collections.abc import Iterable

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from bitswitch.methods.ptmq.adaround import AdaRoundQuantizer, rounding_penalty
from bitswitch.methods.ptmq.mixing import Group, dropped, group_distillation, mixed
from bitswitch.methods.ptmq.units import features, switchable_layers, units
from bitswitch.nn.layers import QuantizedLayer
from bitswitch.nn.model import QuantizedModel
from bitswitch.quant.quantizer import Width
from bitswitch.types import FLOAT_BITS, Strict

_TRAVEL = 5.0
"""So far a logit can get at most: 5000 iterations at Adam's default learning rate, 1e-3."""


class Reconstruction(Strict):
    """How to learn; defaults of the public reimplementation, as the publication gives none."""

    batch_size: PositiveInt = 32
    iterations: PositiveInt = 5000
    """Per unit and bit-width."""
    rounding_learning_rate: PositiveFloat | None = None
    """Adam, constant. None: 5 / iterations, so that short runs get as far; 1e-3 for 5000."""
    scale_learning_rate: PositiveFloat = 4e-5
    """Adam, cosine to zero; of activation scales. As in wei2022qdrop."""
    distillation: NonNegativeFloat = 100.0
    """Weight of the group-wise distillation loss."""
    penalty: NonNegativeFloat = 0.01
    """Weight of the penalty on undecided rounding."""
    warm_up: float = Field(0.2, ge=0, le=1)
    """Share of the iterations without penalty."""
    exponents: tuple[PositiveFloat, PositiveFloat] = (20.0, 2.0)
    """Of the penalty: after the warm-up, and at the end."""
    drop: float = Field(0.5, ge=0, le=1)
    """Share of a unit's inputs that are left at full precision (QDrop)."""


def reconstruct(
    model: QuantizedModel, images: Tensor, bits: int, recipe: Reconstruction, draw: torch.Generator
) -> None:
    """Learn the rounding of all weights at ``bits``, and activation scales along with it.

    Args:
        model: In evaluation mode; weight quantizers are ``AdaRoundQuantizer``.
        images: [n, ...] as the network takes them.
        bits: Bit-width of the weights, one of the model's.
        recipe: How.
        draw: Where images and dropped values are drawn from; on the device of ``images``.
    """
    with model.at(bits):
        for unit in units(model.net):
            _Unit(model, unit, bits, recipe).learn(images, draw)


class _Unit:
    """One block or layer; those before it are done."""

    def __init__(
        self, model: QuantizedModel, unit: nn.Module, bits: int, recipe: Reconstruction
    ) -> None:
        self.model, self.unit, self.recipe = model, unit, recipe
        self.group = Group.of(bits, model.bitset)
        self.width = Width.of(bits, model.bitset)
        self.bits = bits
        self.layers = switchable_layers(unit)

    def learn(self, images: Tensor, draw: torch.Generator) -> None:
        """Learn from ``images`` and fix the rounding."""
        recipe = self.recipe
        full, target = self._observe(images, FLOAT_BITS, FLOAT_BITS)
        rough = self._rough(images)
        logits, scales = self._soften(), self._scales()
        rate = recipe.rounding_learning_rate or _TRAVEL / recipe.iterations
        rounding = torch.optim.Adam(logits, lr=rate)
        scaling = torch.optim.Adam([{"params": scales}], lr=recipe.scale_learning_rate)
        cosine = CosineAnnealingLR(scaling, recipe.iterations)
        for step in range(recipe.iterations):
            chosen = _indices(len(images), recipe.batch_size, draw)
            inputs = dropped(rough[chosen], full[chosen], recipe.drop, draw)
            loss = recipe.distillation * group_distillation(target[chosen], *self._run(inputs))
            loss = loss + self._penalty(logits, step / recipe.iterations)
            rounding.zero_grad()
            scaling.zero_grad()
            loss.backward(inputs=[*logits, *scales])  # type: ignore[no-untyped-call]
            rounding.step()
            scaling.step()
            cosine.step()
            _keep_positive(scales)
        for layer in self.layers:
            _rounding_of(layer).harden(self.width)

    def _rough(self, images: Tensor) -> Tensor:
        """Return mixed inputs of the unit, as it gets them from the quantized units before."""
        seen = {other: self._observe(images, self.bits, other)[0] for other in set(self.group)}
        return mixed(*(seen[other] for other in self.group))

    def _observe(self, images: Tensor, weight: int, activation: int) -> tuple[Tensor, Tensor]:
        """Return input and output of the unit in a network of these bit-widths."""
        uniform = weight == activation
        policy = weight if uniform else dict.fromkeys(self.model.layers, (weight, activation))
        with self.model.at(policy):
            return features(self.model, self.unit, images, self.recipe.batch_size)

    def _soften(self) -> list[Tensor]:
        return [_rounding_of(layer).soften(layer.weight, self.width) for layer in self.layers]

    def _scales(self) -> list[nn.Parameter]:
        return [
            layer.activation_quantizer.scales()[f"scale.{bits}"]
            for layer in self.layers
            if not layer.float_input
            for bits in sorted(set(self.group))
        ]

    def _run(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs at low, medium and high activation bit-width."""
        outputs = {}
        for bits in set(self.group):
            for layer in self.layers:
                layer.switch(self.bits, bits)
            outputs[bits] = self.unit(inputs)
        return tuple(outputs[bits] for bits in self.group)

    def _penalty(self, logits: Iterable[Tensor], progress: float) -> Tensor | float:
        """Return the weighted penalty on rounding that is neither up nor down."""
        recipe = self.recipe
        if progress < recipe.warm_up:
            return 0.0
        first, last = recipe.exponents
        left = (1 - progress) / (1 - recipe.warm_up)
        exponent = last + (first - last) * left
        return recipe.penalty * sum(rounding_penalty(values, exponent) for values in logits)


def _indices(count: int, batch_size: int, draw: torch.Generator) -> Tensor:
    """Return the positions [batch_size] of a batch, drawn with replacement."""
    return torch.randint(count, (batch_size,), generator=draw, device=draw.device)


def _rounding_of(layer: QuantizedLayer) -> AdaRoundQuantizer:
    assert isinstance(layer.weight_quantizer, AdaRoundQuantizer)
    return layer.weight_quantizer


@torch.no_grad()
def _keep_positive(scales: Iterable[nn.Parameter]) -> None:
    """Mirror scales that a step pushed below zero."""
    for scale in scales:
        scale.abs_().clamp_min_(torch.finfo(scale.dtype).eps)
