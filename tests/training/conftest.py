"""A learner that is ready to step, and a batch for it."""

from collections.abc import Callable

import pytest
import torch

from bitswitch.contracts import Batch
from bitswitch.spec import RunSpec
from bitswitch.training.build import Parts
from bitswitch.training.step import Learner


@pytest.fixture
def batch() -> Batch:
    draw = torch.Generator().manual_seed(0)
    return Batch(
        images=torch.randn(8, 3, 8, 8, generator=draw),
        targets=torch.randint(10, (8,), generator=draw),
        indices=torch.arange(8),
    )


@pytest.fixture
def make_learner(batch: Batch) -> Callable[[RunSpec], Learner]:
    def make(run: RunSpec) -> Learner:
        parts = Parts.of(run)
        model = parts.quantized(parts.float_net(), torch.device("cpu")).train()
        if not run.is_float:
            model.calibrate([batch.images])
        return parts.learner(model, images=48, device=torch.device("cpu"))

    return make
