"""Tests of ``bitswitch.report.tables.accuracy_grid``."""

from pathlib import Path

from bitswitch.report.analysis.values import FP, Place, Values
from bitswitch.report.collect import collect
from bitswitch.report.tables.accuracy_grid import Grid
from tests.report.conftest import make_shared


def make_grid(results: Path, experiment: str, position: int) -> Grid:
    values = Values(collect.collect(make_shared(experiment), results), experiment)
    return Grid(values, values.networks[position])


def test_columns_go_from_wide_to_narrow_also_where_the_first_row_lacks_one(results: Path):
    grid = make_grid(results, "table1", 1)
    assert Place("any-precision", "{8,6,4,2}", "6") not in grid.printed
    assert [policy for _, policy in grid.columns] == ["8", "6", "4", "2"]
    assert grid.places("kure")[-1] == Place("kure", *FP)


def test_bit_sets_stand_in_the_printed_order(results: Path):
    columns = make_grid(results, "table1", 2).columns
    assert list(dict.fromkeys(bitset for bitset, _ in columns)) == ["{8,6,4}", "{8,6,4,2}"]


def test_rows_are_alike_in_their_use_of_soft_targets(results: Path):
    grid = make_grid(results, "table2", 0)
    assert grid.alike("bit-mixer-kd") == {
        "q-dnn-kd",
        "abn-kd",
        "bit-mixer-kd",
        "double-rounding-kd",
    }
    assert grid.alike("bit-mixer") == set(grid.variants) - grid.alike("bit-mixer-kd")


def test_one_publication_may_have_several_methods(results: Path):
    origins = make_grid(results, "table2", 0).origins
    assert origins["double-rounding"] == origins["double-rounding-unshared"] == "huang2025nearly"
    assert len(set(origins.values())) == 7


def test_a_row_that_nobody_can_run_comes_from_where_its_title_says(results: Path):
    assert make_grid(results, "table1", 0).origins["hot-swap"] == "Hot-Swap"
