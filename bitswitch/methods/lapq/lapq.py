"""Loss-aware post-training quantization: clip values that give the least loss together."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bitswitch.contracts.task import ROWS
from bitswitch.methods.lapq.clip_value import CANDIDATES, ClipQuantizer
from bitswitch.methods.lapq.powell import Budget, Point, interpolated_minimum, powell
from bitswitch.nn.calibration import observe_inputs
from bitswitch.nn.model import QuantizedModel
from bitswitch.runtime import transfers
from bitswitch.types import FLOAT_BITS

POWERS = (2.0, 2.5, 3.0)
"""Exponents p of the first clip values; public code."""
_PER_DIRECTION, _TO_CONVERGE = 20, 5
"""Evaluations that Powell's method takes along one direction, and iterations in all; about."""


LossSum = Callable[[Any, Tensor], Tensor]
"""Loss of a batch, added up over its examples, given outputs and targets."""


class Operand(NamedTuple):
    """What one clip value serves."""

    quantizer: ClipQuantizer
    values: Tensor
    """A sample of what it quantizes."""


@torch.no_grad()
def fit_clips(
    model: QuantizedModel,
    batches: Iterable[tuple[Tensor, Tensor]],
    images: int,
    budget: Budget,
    loss_sum: LossSum = ROWS.loss_sum,
    candidates: int = CANDIDATES,
) -> None:
    """Set the clip values of every bit-width to those with the least loss on some images.

    The start is found in two steps: clip values with the least error to the power p, for p of 2,
    2.5 and 3 and for the p at which a parabola through their three losses is least; the one with
    the least loss of these four is taken. Powell's method then moves all clip values together.

    Args:
        model: Its layers have a ``ClipQuantizer`` for both operands; is run in evaluation mode.
        batches: Inputs [n, ...] and their targets [n, ...].
        images: How many are used, the first ones.
        budget: Of Powell's method, for each bit-width.
        loss_sum: Of the task.
        candidates: Clip values that are tried for the least error.

    Source: nahshan2021loss and its public code; but the start is chosen by the loss on
        these images, not by accuracy on those that the result is tested on.
    """
    kept = list(_first(batches, images))
    with evaluating(model):
        operands = _operands(model, [images for images, _ in kept])
        for bits in model.bitset:
            with model.at(bits):
                _fit_bits(model, operands, kept, bits, budget, loss_sum, candidates)


def evaluations(layers: int, budget: Budget) -> float:
    """Return how often ``fit_clips`` measures the loss at each bit-width, about.

    Args:
        layers: With two clip values each.
        budget: Of Powell's method; where it is to converge, five iterations are assumed.
    """
    iterations = _TO_CONVERGE if budget.iterations is None else budget.iterations
    tried = iterations * 2 * layers * _PER_DIRECTION
    most = float("inf") if budget.evaluations is None else budget.evaluations
    return len(POWERS) + 1 + min(tried, most)


def reach_values(
    model: QuantizedModel, batches: Iterable[tuple[Tensor, Tensor]], images: int
) -> None:
    """Let every grid reach the largest magnitude of what it quantizes at full precision.

    Args:
        model: As in ``fit_clips``.
        batches: As in ``fit_clips``.
        images: As in ``fit_clips``.
    """
    kept = (values for values, _ in _first(batches, images))
    with evaluating(model):
        for quantizer, values in _operands(model, kept):
            quantizer.reach(values)


@contextmanager
def evaluating(model: QuantizedModel) -> Iterator[None]:
    """Evaluate inside the ``with`` block, then go on in the mode from before."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _first(
    batches: Iterable[tuple[Tensor, Tensor]], images: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches up to so many images, or all there are."""
    left = images
    for values, labels in batches:
        yield values[:left], labels[:left]
        left -= len(labels)
        if left <= 0:
            return


def _operands(model: QuantizedModel, images: Iterable[Tensor]) -> list[Operand]:
    """Return all operands with their values at full precision."""
    layers = model.layers
    with torch.no_grad(), model.at(FLOAT_BITS), observe_inputs(layers) as observed:
        for batch in images:
            model(batch)
    operands = []
    for name, layer in layers.items():
        values: Mapping[str, Tensor] = {
            "weight": layer.weight.detach(),
            "activation": observed[name].values(),
        }
        for operand, quantizer in layer.quantizers.items():
            assert isinstance(quantizer, ClipQuantizer)
            operands.append(Operand(quantizer, values[operand]))
    return operands


def _fit_bits(
    model: QuantizedModel,
    operands: Sequence[Operand],
    batches: Sequence[tuple[Tensor, Tensor]],
    bits: int,
    budget: Budget,
    loss_sum: LossSum,
    candidates: int,
) -> None:
    """Set the clip values of one bit-width, which is in use."""

    def loss(clips: Point) -> float:
        for (quantizer, values), clip in zip(operands, clips, strict=True):
            quantizer.set_clip(bits, values.new_tensor(clip))
        return _loss(model, batches, loss_sum)

    def least_error(power: float) -> tuple[float, Point]:
        clips = [one.least_error_clip(values, bits, power, candidates) for one, values in operands]
        point = np.array(transfers.to_host(torch.stack(clips).double()))
        return loss(point), point

    starts = [least_error(power) for power in POWERS]
    found = interpolated_minimum(POWERS, [value for value, _ in starts])
    starts.append(least_error(found))
    start = min(starts, key=lambda one: one[0])[1]
    relative = powell(lambda x: loss(start * np.exp(x)), np.zeros(len(start)), budget)
    loss(start * np.exp(relative))


def _loss(
    model: QuantizedModel, batches: Sequence[tuple[Tensor, Tensor]], loss_sum: LossSum
) -> float:
    """Return the mean loss."""
    sums = [loss_sum(model(images), labels) for images, labels in batches]
    count = sum(len(labels) for _, labels in batches)
    total: float = transfers.to_host(torch.stack(sums).sum())
    return total / count
