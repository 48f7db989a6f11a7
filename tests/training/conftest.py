"""A learner that is ready to step, a batch for it, and a session around it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import StepInfo
from bitswitch.runtime.randomness import generator
from bitswitch.spec.run import RunSpec
from bitswitch.tasks.classification import Classification
from bitswitch.training.build import Parts
from bitswitch.training.clock import Clock, Instant
from bitswitch.training.directory import RunDirectory
from bitswitch.training.interruption import StopRequest
from bitswitch.training.session import TrainingRun
from bitswitch.training.state import TrainState


@pytest.fixture
def batch() -> Batch:
    draw = torch.Generator().manual_seed(0)
    return Batch(
        inputs=torch.randn(8, 3, 8, 8, generator=draw),
        targets=torch.randint(10, (8,), generator=draw),
        indices=torch.arange(8),
    )


@pytest.fixture
def make_learner(batch: Batch) -> Callable[..., TrainState]:
    def make(run: RunSpec, folder: Path | None = None) -> TrainState:
        parts = Parts.of(run)
        model = parts.quantized(parts.float_net(), torch.device("cpu")).train()
        if not run.is_float:
            model.calibrate([batch.inputs])
        return parts.train_state(model, examples=48, folder=folder)

    return make


@pytest.fixture
def open_session(
    tmp_path: Path, tiny_data: Path, make_learner: Callable[..., TrainState]
) -> Iterator[Callable[[RunSpec], TrainingRun]]:
    """Return a function that opens a session in ``tmp_path``; one after another."""
    with ExitStack() as stack:

        def make(run: RunSpec) -> TrainingRun:
            stack.close()
            device = torch.device("cpu")
            return TrainingRun(
                spec=run,
                parameters=0,
                train_state=make_learner(run, tmp_path),
                dataset=Parts.of(run).open(tiny_data, device),
                task=Classification(),
                outputs=10,
                directory=stack.enter_context(RunDirectory(tmp_path)),
                clock=Clock(device, Instant.now()),
                stop=StopRequest(),
                save_interval_s=60.0,
            )

        yield make


@pytest.fixture
def step_info() -> Callable[..., StepInfo]:
    """Return a function that gives the moment of one 0-based step."""

    def make(step: int = 0, epoch: int = 0) -> StepInfo:
        return StepInfo(epoch, 10, step, 100, generator("test", step))

    return make
