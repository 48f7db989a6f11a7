"""A training step on synthetic images, to measure."""

from collections.abc import Callable

import torch

from bitswitch.contracts import Batch, Moment
from bitswitch.devices import resolve
from bitswitch.randomness import generator
from bitswitch.scores import Score, Scores
from bitswitch.spec import RunSpec
from bitswitch.training.build import Parts
from bitswitch.training.step import train_step


def synthetic_step(run: RunSpec, device: str = "auto") -> Callable[[], object]:
    """Return a function that takes one training step of ``run`` and waits until it is done.

    Args:
        run: Resolved spec; neither its data nor its start are needed.
        device: See ``bitswitch.devices.resolve``.
    """
    parts, place, size = Parts.of(run), resolve(device), run.training.batch_size
    batch = Batch(
        images=torch.randn(size, *parts.dataset.shape()).to(place),
        targets=torch.randint(parts.dataset.classes, (size,)).to(place),
        indices=torch.arange(size, device=place),
    )
    model = parts.quantized(parts.float_net(), place).train()
    if not run.is_float:
        model.calibrate([batch.images])
    if run.sensitivity is not None:
        even = (Score(name, "layer", None, 1.0) for name in model.layers)
        parts.method.guide(Scores(tuple(even)))
    learner = parts.learner(model, size)
    # Every pass reads its loss, which waits for the device.
    moment = Moment(0, 1, 0, 1, generator("probe", run.seed))
    return lambda: train_step(learner, batch, run.training.learning_rate, moment)
