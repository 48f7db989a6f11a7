"""Tests of ``bitswitch.report.tables.stability_table``."""

from pathlib import Path

import pytest

from bitswitch.report import statistics
from bitswitch.report.analysis.trace_stability import stability
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import DASH
from bitswitch.report.tables import stability_table
from tests.report.mixed import make_mixed, write_all


def test_columns_are_the_epochs_that_were_scored(mixed_frames: Frames):
    frames = mixed_frames
    section = stability_table.build(frames, "trace-stability", "t").sections[0]
    assert section.groups[0].columns == ("epoch 1", "epoch 2", "trained")
    (line,) = section.lines
    found = stability(frames.sensitivities, frames.scores)
    assert float(line.entries[2].text) == pytest.approx(found.correlation.iloc[-1], abs=0.006)
    expected = statistics.interval(found[found.epoch == 1].correlation.tolist())
    assert expected is not None
    low, high = max(-1, expected.low), min(1, expected.high)
    assert line.entries[0].below.startswith(f"[{low:.2f}, {high:.2f}] (2), p=")
    assert line.entries[3].text == "4"


def test_without_scores_correlations_are_dashes(results: Path):
    suite = make_mixed("trace-stability")
    table = stability_table.build(collect.collect(suite, results), "trace-stability", "t")
    (line,) = table.sections[0].lines
    assert [entry.text for entry in line.entries[:3]] == [DASH] * 3


def test_an_epoch_that_is_missing_is_a_dash(results: Path):
    suite = make_mixed("trace-stability")
    write_all(suite, results)
    for key, spec in suite.sensitivities.items():
        if spec.epoch == 2:
            (results / "sensitivities" / key / "result.json").unlink()
    table = stability_table.build(collect.collect(suite, results), "trace-stability", "t")
    (line,) = table.sections[0].lines
    assert [entry.text == DASH for entry in line.entries[:3]] == [False, True, False]
