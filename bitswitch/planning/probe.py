"""A training step on synthetic images, to measure."""

from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch

from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import StepInfo
from bitswitch.contracts.sensitivity import Score, Scores
from bitswitch.runtime.devices import resolve
from bitswitch.runtime.randomness import generator
from bitswitch.spec.run import RunSpec
from bitswitch.training.build import Parts
from bitswitch.training.step import train_step

MEASURED_STEPS, LONG_STEP_S = 3, 0.5
"""Of ``measure_step``."""


def synthetic_step(run: RunSpec, device: str = "auto") -> Callable[[], object]:
    """Return a function that takes one training step of ``run`` and waits until it is done.

    Args:
        run: Resolved spec; neither its data nor its start are needed.
        device: See ``bitswitch.runtime.devices.resolve``.
    """
    parts, place, size = Parts.of(run), resolve(device), run.training.batch_size
    batch = Batch(
        images=torch.randn(size, *parts.dataset.shape()).to(place),
        targets=torch.randint(parts.dataset.outputs, (size,)).to(place),
        indices=torch.arange(size, device=place),
    )
    model = parts.quantized(parts.float_net(), place).train()
    if not run.is_float:
        model.calibrate([batch.images])
    if run.sensitivity is not None:
        even = (Score(name, "layer", None, 1.0) for name in model.layers)
        parts.method.set_sensitivity(Scores(tuple(even)))
    train_state = parts.train_state(model, size)
    # Every pass reads its loss, which waits for the device.
    step_info = StepInfo(0, 1, 0, 1, generator("probe", run.seed))
    return lambda: train_step(train_state, batch, run.training.learning_rate, step_info)


def measure_step(run: RunSpec, device: str = "auto") -> float:
    """Return the seconds that one training step of ``run`` takes, on synthetic images.

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
