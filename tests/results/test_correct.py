"""Tests of ``bitswitch.results.correct``."""

import json
from pathlib import Path

import numpy as np
import pytest

from bitswitch.errors import RecordError
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.results.correct import NAME, Correct, read_correct
from bitswitch.results.record import write_lines
from bitswitch.results.records import read_run
from bitswitch.results.result import read_result, write_result
from bitswitch.suite.suite import Suite
from tests.report.conftest import seal, write_run


@pytest.mark.parametrize("examples", [1, 8, 9, 1000])
def test_one_bit_of_each_example_comes_back(examples: int):
    right = np.random.default_rng(examples).random(examples) < 0.9
    line = Correct.pack("4", "top1", right.tolist())
    assert line.right.dtype == bool
    assert line.right.tolist() == right.tolist()
    assert len(line.packed) == {1: 4, 8: 4, 9: 4, 1000: 168}[examples]


def test_the_first_example_is_the_highest_bit():
    assert Correct.pack("4", "top1", bytes([1, 0, 0, 0, 0, 0, 0, 0, 1])).packed == "gIA="


@pytest.mark.parametrize("change", [{"examples": 17}, {"packed": "gI*="}, {"packed": "gIA"}])
def test_bits_that_do_not_fit_are_no_record(tmp_path: Path, change: dict[str, object]):
    line = Correct.pack("4", "top1", [1] * 9).content() | change
    (tmp_path / NAME).write_text(json.dumps(line) + "\n")
    write_result(tmp_path, {}, [NAME])
    with pytest.raises(RecordError, match=rf"{NAME}, line 1: no correct record"):
        read_correct(tmp_path)


@pytest.fixture
def folder(suite: Suite, results: Path) -> Path:
    return write_run(next(iter(suite.runs.values())), results)


def test_what_is_not_as_it_was_written_is_refused(folder: Path):
    write_lines(folder / NAME, [Correct.pack("32", "top1", [1] * 1000)])
    with pytest.raises(RecordError, match=rf"{NAME} is not as it was written"):
        read_run(folder)


def test_a_result_of_before_keeps_nothing_whatever_lies_there(folder: Path):
    result = json.loads((folder / "result.json").read_text())
    write_result(folder, result, [name for name in result["files"] if name != NAME])
    assert read_run(folder).correct == []
    (folder / NAME).unlink()
    assert read_run(folder).correct == []
    assert read_result(folder)["status"] == "complete"


def test_the_collected_suite_answers_by_job_policy_and_metric(suite: Suite, results: Path):
    runs = list(suite.runs.values())
    for run in runs[:-1]:
        write_run(run, results)
    old, last = runs[0], runs[-1]
    (results / "runs" / old.run_id / NAME).unlink()
    seal(results / "runs" / old.run_id)
    folder = collect.write(suite, results)
    frames = Frames.read(folder)
    tops = frames.metrics[(frames.metrics.metric == "top1") & (frames.metrics.split == "test")]
    seen = set()
    for run, policy, value in zip(tops.run, tops.policy, tops.value, strict=True):
        if run in frames.ended:
            right = frames.correct(run, policy, "top1")
            assert (right is None) == (run == old.run_id)
            assert right is None or 100 * int(right.sum()) / len(right) == value
            seen.add((run, policy))
    assert len(frames.correct_examples) == len(seen) - len(old.bitset)
    policy = last.bitset[0]
    assert frames.correct(last.run_id, policy, "top1") is None
    assert frames.correct(runs[1].run_id, policy, "loss") is None
    before = (folder / "correct_examples.csv").read_bytes()
    collect.write(suite, results)
    assert (folder / "correct_examples.csv").read_bytes() == before
