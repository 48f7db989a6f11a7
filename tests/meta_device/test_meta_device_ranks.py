"""Several processes on the meta device; what they tell each other arrives nowhere."""

import pytest
import torch
from torch.testing._internal.distributed.fake_pg import FakeStore

from bitswitch.contracts.data import Batch
from bitswitch.plugins import registry
from bitswitch.runtime import ranks
from bitswitch.runtime.ranks import Ranks
from bitswitch.stages.execution import Execution
from bitswitch.stages.training_job import TrainingJob
from bitswitch.testing.subject import step_info
from bitswitch.training.build import Parts
from bitswitch.training.clock import Instant
from bitswitch.training.directory import RunDirectory
from bitswitch.training.interruption import StopRequest
from bitswitch.training.loop import run_epochs
from bitswitch.training.session import TrainingRun
from bitswitch.training.step import train_step
from tests.recipes import CONVENTIONAL, RECIPES, SEPARATE

from .conftest import META
from .learners import learner_of, on_meta

LOADED = {name: registry.load("methods", name) for name in registry.names("methods")}
QUICK = ("float32", "double-rounding", "adabits", "vertical-layer", "multiquant")
"""Methods for which this is tried every time: they gather different things."""
METHODS = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.long)
    for name, method in LOADED.items()
    if method.trains and not method.needs_whole_batch
]
RANKS = Ranks(0, 2)


@pytest.fixture(scope="module", autouse=True)
def group():
    torch.distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    yield
    torch.distributed.destroy_process_group()


@pytest.fixture(autouse=True)
def messages(monkeypatch):
    """Refuse messages of tensors that lie elsewhere: GPUs could not send them."""
    tell = ranks._told

    def told(say, *values):
        assert {one.device for one in values if isinstance(one, torch.Tensor)} <= {META}
        tell(say, *values)

    monkeypatch.setattr(ranks, "_told", told)


@pytest.mark.parametrize("name", METHODS)
def test_meta_device_trains_a_share(name, host):
    recipes = [{**one, "batch_norm": "sync"} for one in (SEPARATE, CONVENTIONAL, *RECIPES)]
    train_state = learner_of(name, recipes, ranks=RANKS)
    host.since()
    share = Batch(*(values[RANKS.part(len(values))] for values in on_meta()))
    results = train_step(train_state, share, 1e-3, step_info())
    assert host.since() <= len(results) + bool(train_state.scales)


def test_meta_device_remembers_for_all_ranks(host):
    train_state = learner_of("lsq", ({**CONVENTIONAL, "distillation": "ps-kd"},), ranks=RANKS)
    host.since()
    share = Batch(*(values[RANKS.part(len(values))] for values in on_meta()))
    assert train_step(train_state, share, 1e-3, step_info())
    assert host.since() <= 1 + 1 + 2  # a pass; scales; which images these are, and what was said


def test_meta_device_begins_with_the_leading_network_and_evaluates_its_batches(
    tiny_run, tiny_data, tmp_path, monkeypatch
):
    monkeypatch.setattr(Ranks, "gathered", lambda ranks, value, device: [value])
    monkeypatch.setattr(TrainingRun, "_check_stop", lambda run: None)  # every flag is true
    run = tiny_run((4, 2), batch_norm="sync", distillation="ps-kd")
    parts, execution = Parts.of(run), Execution(tmp_path, tiny_data, META)
    with RunDirectory(tmp_path / "run") as directory, StopRequest() as stop:
        job = TrainingJob(parts, execution, Instant.now(), directory, stop, RANKS, tmp_path)
        directory.open_lines({})
        run_epochs(job._session(fresh=True))
