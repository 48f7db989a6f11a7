"""Tests of ``bitswitch.report.figures``."""

from pathlib import Path

import pytest

from bitswitch.errors import ReportError
from bitswitch.report import collect, figures
from bitswitch.suite import Suite
from tests.report.conftest import EXPERIMENTS, make_suite
from tests.report.mixed import make_mixed


def test_suites_without_alrs_have_no_figures_about_it(suite: Suite):
    assert figures.names(suite) == ["figure2", "figure3", "figure7", "figure8"]
    other = make_suite(experiments={"readings": EXPERIMENTS["readings"]})
    assert figures.names(other) == ["figure2"]


MIXED = ("figure4", "figure5", "figure-searched-layers", "figure-limited-share")


def test_mixed_precision_has_its_figures():
    assert figures.names(make_mixed()) == ["figure2", *MIXED]


@pytest.mark.parametrize("name", MIXED)
def test_mixed_precision_without_runs_says_so(name: str, results: Path):
    folder = collect.write(make_mixed("hmt", "fronts", "searched-layers", "limited-share"), results)
    assert all(path.stat().st_size > 1000 for path in figures.write(name, folder))


@pytest.mark.parametrize("name", ["figure2", "figure3", "figure7"])
def test_files_are_the_same_bytes_every_time(name: str, folder: Path):
    paths = figures.write(name, folder)
    assert [path.name for path in paths] == [f"{name}.pdf", f"{name}.png"]
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in figures.write(name, folder)] == before
    assert before[0].startswith(b"%PDF")
    assert before[1].startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["figure3", "figure8"])
def test_without_runs_panels_say_so(name: str, suite: Suite, results: Path):
    folder = collect.write(suite, results)
    assert all(path.stat().st_size > 1000 for path in figures.write(name, folder))


def test_an_unknown_figure_has_a_nearest_name(folder: Path):
    with pytest.raises(ReportError, match=r"no figure 'figur7'\. Did you mean 'figure7'\?"):
        figures.write("figur7", folder)
