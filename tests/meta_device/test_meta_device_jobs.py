"""Whole jobs, from their first file to their last, on the meta device."""

import pytest

from bitswitch.deployment.loading import assembled
from bitswitch.deployment.verification.parity import compare
from bitswitch.deployment.verification.rounding_error import rounding_errors
from bitswitch.deployment.verification.switching import switch_times
from bitswitch.errors import Interrupted
from bitswitch.plugins.resolve import resolved
from bitswitch.results.files import read_json
from bitswitch.spec.run import SensitivitySpec
from bitswitch.spec.search import SearchSpec
from bitswitch.stages.execution import Execution
from bitswitch.stages.scoring_job import run_scoring
from bitswitch.stages.search_job import run_search
from bitswitch.stages.training_job import run_job
from bitswitch.testing.subject import TASK
from bitswitch.training.clock import Instant
from bitswitch.training.interruption import StopRequest
from tests.deployment import exported

from .conftest import META
from .learners import on_meta

BUDGETS = ({"cost": "average-bits", "at_most": 3},)


@pytest.fixture
def execution(tmp_path, tiny_data):
    return Execution(tmp_path, tiny_data, META, save_interval_s=0)


def status(folder):
    return read_json(folder / "result.json")["status"]


def interrupt(monkeypatch):
    """Let a run stop in the middle of its second epoch."""
    left = [6]

    def check(stop):
        left[0] -= 1
        if left[0] == 0:
            raise Interrupted("now")

    monkeypatch.setattr(StopRequest, "check", check)


def test_meta_device_trains_stops_goes_on_is_scored_and_searched(tiny_run, execution, monkeypatch):
    run = tiny_run((4, 2), recalibration=1, snapshots=[1], optimizer="sgd")
    interrupt(monkeypatch)
    with pytest.raises(Interrupted):
        run_job(run, execution, Instant.now())
    run_job(run, execution, Instant.now())
    assert status(execution.runs / run.run_id) == "complete"
    scored = {"sensitivity": "quantization-error", "run": run, "epoch": 1, "bitset": (4, 2)}
    scores = resolved(SensitivitySpec.model_validate(scored))
    run_scoring(scores, execution, Instant.now())
    assert status(execution.sensitivities / scores.identifier) == "complete"
    fields = {"search": "uniform", "run": run, "budgets": BUDGETS, "examples": 10}
    search = resolved(SearchSpec.model_validate(fields | {"recalibration": 1}))
    run_search(search, execution, Instant.now())
    assert status(execution.searches / search.identifier) == "complete"


def test_meta_device_deploys(host):
    run = exported.run_of(bitset=(4, 2))
    model = exported.quantized(run)
    integers = assembled(*exported.artifact(model, run).content, "memory", META)
    model.to(META)
    host.since()
    for bits in (4, 2):
        compare(model, integers, [on_meta()], bits, TASK)
        # Both evaluations, counts, differences, largest sums; whether codes are finite.
        assert host.since() == 5 + len(model.layers)
    assert set(switch_times(integers, META)) == {4, 2}
    assert host.since() == 0
    assert len(rounding_errors(model)) == 2 * len(model.layers)
