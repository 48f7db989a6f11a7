"""Tests of ``bitswitch.report.document.errata``."""

from pathlib import Path

from bitswitch.report.document import errata
from bitswitch.report.packs import pack
from bitswitch.suite.suite import Suite
from tests.report.conftest import alrs_of, write_run

CHECKOUT = Path(__file__).parents[3]


def test_the_committed_page_is_the_generated_one():
    expected = errata.text(CHECKOUT / "results/reference")
    assert (CHECKOUT / "docs/errata.md").read_text() == expected


def test_savings_relative_to_separate_training_are_smaller():
    rows = list(errata.savings())
    assert [(row[-3], row[-2], row[-1]) for row in rows] == [
        (28.6, "28.6", "22.2"),
        (12.5, "12.5", "11.1"),
        (25.0, "25.0", "20.0"),
        (16.6, "16.6", "14.2"),
        (26.8, "26.8", "21.1"),
        (26.5, "26.5", "20.9"),
    ]


def test_two_margins_of_the_text_are_not_those_of_its_tables():
    found = [(row[0], row[-2], row[-1]) for row in errata.disagreements()]
    assert found == [("C23", "7.07", "7.02"), ("C24", "0.20", "0.12")]


def test_unlike_comparisons_are_listed():
    assert [row[0] for row in errata.unlike()] == [
        "C01", "C03", "C05", "C06", "C07", "C24", "C25",
    ]  # fmt: skip


def test_one_cell_of_table_4_goes_down():
    found = errata.alrs_direction()
    assert (found["up"], found["all"]) == (27, 28)
    assert found["down"] == "ResNet-20 {8,6,4,2} w4a4 (-0.08)"


def test_the_measured_sign_of_eq_6_is_told(suite: Suite, results: Path, tmp_path: Path):
    assert "No kept result measures it yet." in errata.text(tmp_path)
    for run in suite.runs.values():
        literal = alrs_of(run) == "literal"
        status = {"status": "collapsed", "diagnosis": "at chance"} if literal else {}
        status |= {"top1": dict.fromkeys(run.bitset, 10.0)} if literal else {}
        write_run(run, results, **status)
    kept = tmp_path / "reference"
    kept.mkdir()
    pack.write(suite, results, kept / "tiny.tar.xz")
    text = errata.text(tmp_path / "reference")
    assert "Measured in suite `tiny` (embedded data)" in text
    assert "| ResNet-20 | literal | 2 | 70 | 3 of 3 seeds collapsed at" in text
    assert "| ResNet-20 | relative (default) | 2 | 0 | 91." in text
