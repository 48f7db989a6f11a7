"""Which jobs come first."""

import pytest

from bitswitch.planning import order
from bitswitch.suite.suite import load_suite, suite_path

FIRST = "alrs/resnet8"


@pytest.fixture(scope="module")
def suite():
    return load_suite(suite_path("mini"))


@pytest.fixture(scope="module")
def urgent(suite):
    return order.priorities(suite, FIRST)


def test_every_job_has_a_place(suite, urgent):
    made = [f"train {key}" for key in suite.runs]
    made += [f"score {key}" for key in suite.sensitivities]
    made += [f"search {key}" for key in suite.searches]
    made += [f"deploy {key}" for key in suite.deployments]
    made += [f"prepare {key}" for key in suite.datasets]
    assert set(urgent) == set(made)


def test_what_the_first_cells_need_comes_before_all_else(suite, urgent):
    cells = [c for c in suite.run_cells if (c.experiment, c.network) == ("alrs", "resnet8")]
    early = {f"train {run.run_id}" for cell in cells for run in cell.runs}
    early |= {f"prepare {run.dataset.identifier}" for cell in cells for run in cell.runs}
    assert len(early) > len(cells)
    others = max(urgent[name] for name in urgent.keys() - early)
    assert min(urgent[name] for name in early) > others


def test_nothing_waits_for_what_is_less_urgent(suite, urgent):
    for run in suite.runs.values():
        own = urgent[f"train {run.run_id}"]
        assert urgent[f"prepare {run.dataset.identifier}"] > own
        if run.start:
            assert urgent[f"train {run.start.run_id}"] > own
    for search in suite.searches.values():
        assert urgent[f"train {search.run.run_id}"] > urgent[f"search {search.identifier}"]


def test_long_chains_begin_before_short_jobs(suite):
    """A float network that others start from, before a joint one that nothing waits for."""
    urgent = order.priorities(suite)
    starts = {cell.run.start.run_id for cell in suite.run_cells if cell.run.start}
    waited = {run.start.run_id for run in suite.runs.values() if run.start}
    last = [key for key, run in suite.runs.items() if run.start and key not in waited]
    longest = max(starts, key=lambda key: urgent[f"train {key}"])
    assert urgent[f"train {longest}"] > max(urgent[f"train {key}"] for key in last)


def test_cells_that_a_suite_lacks_are_passed_over(suite):
    assert order.priorities(suite, "gone/resnet8") == order.priorities(suite)
