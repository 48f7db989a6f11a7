"""Parts of a suite, by the paths of their cells."""

import pytest

from bitswitch.errors import SpecError
from bitswitch.suite.parts import cells_at, part
from bitswitch.suite.suite import load_suite, suite_path


@pytest.fixture(scope="module")
def suite():
    return load_suite(suite_path("smoke"))


def test_a_path_may_end_at_any_level(suite):
    whole = part(suite, "alrs")
    one = part(suite, "alrs/resnet20")
    row = part(suite, "alrs/resnet20/with-alrs")
    assert set(row.runs) < set(one.runs) < set(whole.runs) < set(suite.runs)
    assert {cell.variant for cell in row.cells} == {"with-alrs"}
    assert {cell.network for cell in one.cells} == {"resnet20"}
    assert set(whole.experiments) == set(suite.experiments)


def test_jobs_before_those_of_a_part_belong_to_it(suite):
    runs = part(suite, "alrs/resnet20/with-alrs").runs
    assert any(run.is_float for run in runs.values())
    assert all(run.start.run_id in runs for run in runs.values() if run.start)


def test_several_paths_are_united(suite):
    two = part(suite, "alrs/resnet20, table1")
    assert {cell.experiment for cell in two.cells} == {"alrs", "table1"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alr", "no experiment 'alr' is run in the suite. Did you mean 'alrs'"),
        ("alrs/resnet21", "network 'resnet21' is run in alrs. Did you mean 'resnet20'"),
        ("alrs/resnet20/with-alr", "run in alrs/resnet20. Did you mean 'with-alrs'"),
        ("alrs/resnet20/with-alrs/8", "is too long"),
        (" , ", "names no cells"),
    ],
)
def test_a_path_that_leads_nowhere_is_an_error(suite, text, message):
    with pytest.raises(SpecError, match=message):
        part(suite, text)


def test_a_look_at_cells_passes_over_what_there_is_not(suite):
    assert cells_at(suite, "gone/resnet8,") == []
    assert {cell.experiment for cell in cells_at(suite, "gone,alrs")} == {"alrs"}
