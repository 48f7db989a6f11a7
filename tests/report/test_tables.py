"""Tests of ``bitswitch.report.tables``."""

from pathlib import Path

import pytest

from bitswitch.errors import ReportError
from bitswitch.report import tables
from bitswitch.spec import Suite


def test_every_experiment_has_a_table(suite: Suite):
    assert tables.names(suite) == ["table4", "table5", "readings"]


def test_files_are_the_same_bytes_every_time(suite: Suite, folder: Path):
    for name in tables.names(suite):
        paths = tables.write(name, folder)
        assert [path.name for path in paths] == [f"{name}.tex", f"{name}.html"]
        before = [path.read_bytes() for path in paths]
        assert [path.read_bytes() for path in tables.write(name, folder)] == before


def test_tables_need_no_curves(folder: Path):
    (folder / "curves.csv").unlink()
    (folder / "scale_gradients.csv").unlink()
    assert tables.write("table4", folder)


def test_an_unknown_table_has_a_nearest_name(folder: Path):
    with pytest.raises(ReportError, match=r"no table 'tabel4'\. Did you mean 'table4'\?"):
        tables.write("tabel4", folder)
