"""Tests of ``bitswitch.report.tables.scoring_table``."""

from pathlib import Path

from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import DASH
from bitswitch.report.tables import scoring_table
from tests.report.conftest import write_run
from tests.report.mixed import make_mixed, write_all


def test_scoring_stands_beside_training(mixed_frames: Frames):
    table = scoring_table.build(mixed_frames, "hmt", "hmt")
    (line,) = table.sections[0].lines
    assert (line.label, line.kind) == ("full precision", "hessian-trace")
    texts = [entry.text for entry in line.entries]
    assert texts[:3] == ["4", "1024", "12"]
    assert texts[4:] == ["2.5 s", "300 MiB", "30 s", "1.7 min", "8.2", "2.4"]
    assert line.entries[4].below.endswith("(2)")
    assert 100 / 20 < float(texts[3]) < 100 / 15


def test_scores_that_are_missing_are_a_dash(results: Path):
    suite = make_mixed("hmt")
    for run in suite.runs.values():
        write_run(run, results)
    table = scoring_table.build(collect.collect(suite, results), "hmt", "hmt")
    (line,) = table.sections[0].lines
    assert line.entries[0].text == DASH
    assert len(line.entries) == table.width
    assert table.footnotes == (("a", "not run to the end"),)


def test_missing_seeds_are_counted(results: Path):
    suite = make_mixed("hmt")
    write_all(suite, results)
    first = next(iter(suite.sensitivities))
    (results / "sensitivities" / first / "result.json").unlink()
    table = scoring_table.build(collect.collect(suite, results), "hmt", "hmt")
    assert table.footnotes == (("a", "1 of 2 seeds are missing"),)
