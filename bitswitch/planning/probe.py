"""A training step on made-up examples, to measure, and how many passes one has."""

from collections.abc import Callable, Iterator
from statistics import fmean, median
from time import perf_counter
from typing import NamedTuple

import torch
from torch import nn

from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import Method, StepInfo
from bitswitch.contracts.sensitivity import Score, Scores
from bitswitch.conversion import quantize
from bitswitch.nn.model import QuantizedModel
from bitswitch.runtime.devices import resolve
from bitswitch.runtime.randomness import generator
from bitswitch.spec.run import RunSpec
from bitswitch.training.build import Parts
from bitswitch.training.state import TrainState
from bitswitch.training.step import train_step

MEASURED_STEPS, LONG_STEP_S = 3, 0.5
"""Of ``measure_step``."""
COUNTED_STEPS = 40
"""Of ``passes_of``."""
MULTIPLIED = 1024
"""Rows and columns of ``measure_rate``."""


class Synthetic(NamedTuple):
    """Training on made-up examples: what a step takes, in its order."""

    train_state: TrainState
    batch: Batch
    learning_rate: float
    step_info: StepInfo


def synthetic_step(run: RunSpec, device: str = "auto") -> Callable[[], object]:
    """Return a function that takes one training step of ``run`` and waits until it is done.

    Args:
        run: Resolved spec; neither its data nor its start are needed.
        device: See ``bitswitch.runtime.devices.resolve``.
    """
    training = synthetic(run, device)
    return lambda: train_step(*training)


def synthetic(run: RunSpec, device: str = "auto") -> Synthetic:
    """Return the training of ``run`` on one made-up batch; see ``synthetic_step``."""
    parts, place, size = Parts.of(run), resolve(device), run.training.batch_size
    batch = Batch(*(part.to(place) for part in parts.example(size)))
    model = parts.quantized(parts.float_net(), place).train()
    if not run.is_float:
        model.calibrate([batch.inputs])
    tell(parts.method, run, model)
    step_info = StepInfo(0, 1, 0, 1, generator("probe", run.seed))
    return Synthetic(parts.train_state(model, size), batch, run.training.learning_rate, step_info)


def passes_of(run: RunSpec) -> float:
    """Return how many passes a training step of ``run`` has, on average over its epochs.

    They are counted on a network of five layers, three of which switch.
    """
    net = nn.Sequential(*(nn.Linear(4, 4) for _ in range(5)))
    method = Parts.of(run).method
    model = quantize(net, method)
    method.on_quantized(model, 4)
    tell(method, run, model)
    layers, training = list(model.layers), run.training
    counts = [len(method.passes(training, one, layers)) for one in _steps(training.epochs)]
    return fmean(counts)


def _steps(epochs: int) -> Iterator[StepInfo]:
    """Yield steps that are evenly spread over a run."""
    for step in range(COUNTED_STEPS):
        epoch, drawn = step * epochs // COUNTED_STEPS, generator("check passes", step)
        yield StepInfo(epoch, epochs, step, COUNTED_STEPS, drawn)


def tell(method: Method, run: RunSpec, model: QuantizedModel) -> None:
    """Tell ``method`` that all layers are equally sensitive, if ``run`` says by what they are."""
    if run.sensitivity is not None:
        even = (Score(name, "layer", None, 1.0) for name in model.layers)
        method.set_sensitivity(Scores(tuple(even)))


def measure_step(run: RunSpec, device: str = "auto") -> float:
    """Return the seconds that one training step of ``run`` takes, on made-up examples.

    The first step warms up. Where it is a long one on a processor, that hardly matters, and no
    other is taken.

    Args:
        run: Resolved spec; neither its data nor its start are needed.
        device: See ``bitswitch.runtime.devices.resolve``.
    """
    step = synthetic_step(run, device)

    def taken() -> float:
        began = perf_counter()
        step()
        return perf_counter() - began

    first = taken()
    if first > LONG_STEP_S and resolve(device).type == "cpu":
        return first
    return median(taken() for _ in range(MEASURED_STEPS))


def measure_rate(device: str = "auto") -> float:
    """Return the operations per second that a product of large matrices reaches in float32."""
    drawn = generator("rate")
    left, right = (torch.randn(MULTIPLIED, MULTIPLIED, generator=drawn) for _ in range(2))
    place = resolve(device)
    left, right = left.to(place), right.to(place)

    def taken() -> float:
        began = perf_counter()
        (left @ right).sum().item()  # waits for the device
        return perf_counter() - began

    taken()
    return 2 * MULTIPLIED**3 / median(taken() for _ in range(MEASURED_STEPS))
