"""Whatever ``paper`` asks of a machine, ``rehearsal`` asks too, in little."""

from collections.abc import Iterator
from typing import Any

import pytest

from bitswitch.suite.suite import Cell, load_suite, suite_path

OF_AMOUNT = {
    *("epochs", "batch_size", "warmup_epochs", "snapshots", "accumulate", "recalibration"),
    *("learning_rate", "scale_learning_rate"),
}
"""Of a recipe, what says how much and not what."""
JOBS = 500
STEPS = 3


@pytest.fixture(scope="module")
def suites():
    return load_suite(suite_path("paper")), load_suite(suite_path("rehearsal"))


def switches(training: Any) -> Iterator[tuple[str, str]]:
    """Yield what a recipe turns on or chooses."""
    if training is not None:
        for name, value in training.model_dump(exclude=OF_AMOUNT).items():
            yield name, str(value)
        for name in ("warmup_epochs", "snapshots", "recalibration"):
            yield name, str(bool(getattr(training, name)))
        yield "accumulate", str(training.accumulate > 1)


def facets(cell: Cell) -> Iterator[tuple[Any, ...]]:
    """Yield all that a cell asks of a machine, each with the network that asks it."""
    for run in cell.runs:
        network = (run.model.name, run.model.options.get("architecture"), run.dataset.name)
        yield "method on network", network, run.method.name, run.is_float, run.start is None
        yield "float inputs", network, run.keep, run.float_inputs
        for switch in switches(run.training):
            yield "recipe", *switch
        for name, value in run.method.options.items():
            if isinstance(value, str | bool):
                yield "option of method", run.method.name, name, value
    for one in cell.sensitivities:
        yield "sensitivity on network", cell.network, one.sensitivity.name, one.epoch is None
    if cell.search:
        search = cell.search
        yield "search on network", cell.network, search.search.name, search.retraining is not None
        yield "search with scores", search.search.name, search.sensitivity is not None, search.tied
        for budget in search.budgets:
            yield "budget", budget.name, cell.network
    yield "row", cell.experiment, cell.network, cell.variant, cell.skipped
    yield "deployed", cell.network, cell.run.method.name, cell.deploy


def asked(suite) -> set[tuple[Any, ...]]:
    """Return what all cells of a suite ask."""
    return {facet for cell in suite.cells for facet in facets(cell)}


def test_everything_that_paper_asks_is_rehearsed(suites):
    paper, rehearsal = suites
    one_set = {name: network.bitsets for name, network in rehearsal.networks.items()}
    wanted = {
        facet
        for cell in paper.cells
        if cell.bitset in one_set[cell.network] or paper.experiments[cell.experiment].bitsets
        for facet in facets(cell)
    }
    missing = sorted(map(str, wanted - asked(rehearsal)))
    assert not missing, "left out of config/suites/rehearsal.yaml:\n  " + "\n  ".join(missing)


def test_every_network_experiment_and_bit_set_is_there(suites):
    paper, rehearsal = suites
    assert set(rehearsal.networks) == set(paper.networks)
    assert {cell.bitset for cell in rehearsal.cells} == {cell.bitset for cell in paper.cells}
    for name, experiment in paper.experiments.items():
        other = rehearsal.experiments[name]
        assert (other.table, other.figures) == (experiment.table, experiment.figures)
        assert (other.networks, set(other.variants)) == (
            experiment.networks,
            set(experiment.variants),
        )


def test_cifar10_is_part_of_it(suites):
    _, rehearsal = suites
    cifar10 = load_suite(suite_path("cifar10"))
    rows = {(cell.experiment, cell.variant, cell.bitset) for cell in cifar10.run_cells}
    assert rows <= {(cell.experiment, cell.variant, cell.bitset) for cell in rehearsal.run_cells}


def test_it_is_small(suites):
    _, rehearsal = suites
    kinds = (rehearsal.runs, rehearsal.sensitivities, rehearsal.searches, rehearsal.deployments)
    assert sum(map(len, kinds)) < JOBS
    for run in rehearsal.runs.values():
        assert run.training.epochs <= STEPS, run.run_id


def test_its_runs_are_none_of_papers_and_its_data_are_made_up(suites):
    paper, rehearsal = suites
    assert rehearsal.data == "made-up"
    assert not set(rehearsal.runs) & set(paper.runs)
    for run in rehearsal.runs.values():
        options = run.dataset.options
        assert "made_up" in options or all("made-up" in path for path in options["train"])


def test_pictures_are_read_as_files_and_in_every_packed_form(suites):
    _, rehearsal = suites
    choices = [choice for choice in rehearsal.datasets.values() if choice.name == "imagenet"]
    forms = {str(choice.options.get("packed", "files")).partition("-")[0] for choice in choices}
    assert forms == {"files", "jpeg", "raw"}
