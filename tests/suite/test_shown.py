"""Which tables and figures show the experiments of shipped suites."""

from pathlib import Path

import pytest

from bitswitch.report.figures import figures
from bitswitch.report.tables import tables
from bitswitch.suite.suite import Beside, ExperimentSpec, load_suite


def renamed(experiment: ExperimentSpec) -> ExperimentSpec:
    """Return an experiment whose neighbour has another name."""
    beside = experiment.beside
    other = Beside(experiment=f"my-{beside.experiment}", variant=beside.variant) if beside else None
    return experiment.model_copy(update={"beside": other})


@pytest.mark.parametrize("name", ["smoke", "mini"])
def test_a_renamed_experiment_keeps_what_shows_it(name):
    suite = load_suite(Path(f"config/suites/{name}.yaml"))
    experiments = {f"my-{key}": renamed(one) for key, one in suite.experiments.items()}
    other = suite.model_copy(update={"experiments": experiments})
    tables.check(other)
    found = [one[:3] for one in figures.of(other).values()]
    assert found == [one[:3] for one in figures.of(suite).values()]
    firsts = [f"figure{number}" for number in (2, 3, 4, 5, 7, 8, 9, 10)]
    assert [one[0] for one in found][:8] == firsts
    assert len({one.table for one in experiments.values()}) == 11


def test_every_network_has_figures_of_its_scale_gradients():
    suite = load_suite(Path("config/suites/mini.yaml"))
    recording = {
        cell.network
        for cell in suite.cells
        if cell.run.training.record_scale_gradients or cell.run.training.alrs
    }
    for operand in ("weight", "activation"):
        shown = {
            one.network
            for one in figures.of(suite).values()
            if f"radients of the {operand} scales" in one.title
        }
        assert shown == recording == suite.networks.keys()
