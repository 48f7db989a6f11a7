from typing import NamedTuple

import pytest
import torch

from bitswitch.contracts.search import Search
from bitswitch.plugins import registry
from bitswitch.plugins.resolve import resolved
from bitswitch.results.files import read_json
from bitswitch.spec.run import Choice, RunSpec
from bitswitch.spec.search import SearchSpec
from bitswitch.stages.execution import Execution
from bitswitch.stages.search_job import run_search
from bitswitch.stages.training_job import run_job
from bitswitch.training.clock import Instant
from bitswitch.training.trained import load_trained
from tests.conftest import TINY
from tests.training.conftest import (  # noqa: F401  (fixtures)
    batch,
    make_learner,
    open_session,
    step_info,
)

BUDGETS = ({"cost": "average-bits", "at_most": 4},)


@pytest.fixture(scope="session")
def run():
    """Return a run of ResNet-8 on 8x8 digits, three steps per epoch."""
    training = {
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 5e-4,
        "weight_decay": 5e-5,
        "update": "separate",
        "alrs": {},
    }
    fields = {"method": "double-rounding", "model": "resnet8", "dataset": TINY, "seed": 0}
    return resolved(RunSpec(**fields, bitset=(8, 4, 2), training=training))


@pytest.fixture(scope="session")
def finished_runs(run, tiny_data, tmp_path_factory):
    """Return the folder of all runs, in which ``run`` is finished."""
    execution = Execution(tmp_path_factory.mktemp("results"), tiny_data, torch.device("cpu"))
    run_job(run, execution, Instant.now())
    return execution.runs


@pytest.fixture
def execution(finished_runs, tiny_data, tmp_path):
    (tmp_path / "runs").symlink_to(finished_runs)
    return Execution(tmp_path, tiny_data, torch.device("cpu"))


@pytest.fixture
def trained(run, execution):
    """Return the network that ``run`` has left behind, a new one for every test."""
    return load_trained(run, execution.runs, execution.data, execution.device, "a test")


class Found(NamedTuple):
    """What a search left."""

    folder: object
    result: dict

    def lines(self, name):
        import json

        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]


@pytest.fixture
def spec_of(run):
    """Return a function that makes the spec of a search in ``run``."""

    def spec_of(search="uniform", budgets=BUDGETS, **changes):
        chosen = Choice.model_validate(search)
        fields = {"search": chosen, "run": run, "budgets": budgets, "examples": 10, **changes}
        return resolved(SearchSpec.model_validate(fields))

    return spec_of


@pytest.fixture
def search(execution, spec_of):
    """Return a function that searches in ``run``."""

    def search(*arguments, **changes):
        spec = spec_of(*arguments, **changes)
        run_search(spec, execution, Instant.now())
        folder = execution.searches / spec.identifier
        return Found(folder, read_json(folder / "result.json"))

    return search


@pytest.fixture
def instead(monkeypatch):
    """Return a function that puts a made-up search in the place of all."""
    create = registry.create

    def instead(function):
        class Made(Search):
            def search(self, problem):
                return function(problem)

        def made(group, name, options, *arguments):
            if group == "searches":
                return Made(Made.Options())
            return create(group, name, options, *arguments)

        monkeypatch.setattr(registry, "create", made)

    return instead
