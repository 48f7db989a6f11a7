"""Tests of ``bitswitch.report.tables.tables``."""

import re
from pathlib import Path
from typing import Any

import pytest

from bitswitch.errors import ReportError
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render import latex, page
from bitswitch.report.render.table import Table
from bitswitch.report.tables import tables
from bitswitch.suite.suite import Suite
from tests.report.conftest import EXPERIMENTS, make_suite


def test_every_experiment_has_a_table(suite: Suite):
    assert tables.names(suite) == ["table4", "table5", "readings"]


def test_a_printed_table_names_the_one_experiment_that_reproduces_it():
    variants = {"a": {"title": "a"}}
    one = {"title": "t", "networks": ["resnet20"], "variants": variants}
    experiments = {
        "mine": one | {"printed": "table1"},
        "alrs": one | {"printed": "table4"},
        "alrs-again": one | {"printed": "table4"},
        "table2": one,
        "other": one | {"printed": "table2"},
    }
    suite = make_suite(experiments=experiments)
    assert tables.names(suite) == ["table1", "alrs", "alrs-again", "table2", "other"]


def test_files_are_the_same_bytes_every_time(suite: Suite, folder: Path):
    for name in tables.names(suite):
        paths = tables.write(name, folder)
        assert [path.name for path in paths] == [f"{name}.tex", f"{name}.html"]
        before = [path.read_bytes() for path in paths]
        assert [path.read_bytes() for path in tables.write(name, folder)] == before


@pytest.fixture(scope="module")
def mixed_tables(mixed_frames: Frames) -> dict[str, Table]:
    names = tables.names(mixed_frames.suite)
    return {name: tables.build(mixed_frames, name) for name in names}


def test_every_experiment_of_mixed_precision_has_the_table_that_fits_its_variants(
    mixed_tables: dict[str, Table],
):
    first = {name: table.sections[0].groups[0].columns[0] for name, table in mixed_tables.items()}
    assert first == {
        "hmt": "layers",
        "trace-stability": "epoch 1",
        "search-comparison": "found",
        "fronts": "found",
        "limited-share": "w8a8",
        "searched-layers": "bits",
        "search-pairs": "%",
    }


def test_every_line_is_as_wide_as_its_section(mixed_tables: dict[str, Table]):
    for name, table in mixed_tables.items():
        for section in table.sections:
            for line in section.lines:
                assert sum(entry.span for entry in line.entries) == section.width, name
        assert min(len(latex.table(table)), len(page.table(table))) > 500


def test_an_unknown_table_has_a_nearest_name(folder: Path):
    with pytest.raises(ReportError, match=r"no table 'tabel4'\. Did you mean 'table4'\?"):
        tables.write("tabel4", folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"table": "search"},
            "table 'search' shows what 'search' leads to, and variant 'relative'",
        ),
        ({"table": "parity"}, "table 'parity' shows what 'deploy' leads to"),
        ({"table": "cost"}, "beside: {experiment: ..., variant: ...}"),
    ],
)
def test_an_experiment_that_lacks_what_its_table_shows_is_refused(changes: Any, message: str):
    suite = make_suite(experiments={"readings": EXPERIMENTS["readings"] | changes})
    with pytest.raises(ReportError, match=re.escape(message)):
        tables.check(suite)
