"""Tests of ``bitswitch.results.records``."""

import json
from pathlib import Path

import pytest

from bitswitch.errors import RecordError
from bitswitch.results.records import read_run
from bitswitch.suite.suite import Suite
from tests.report.conftest import seal, write_run


@pytest.fixture
def run_folder(suite: Suite, results: Path) -> Path:
    return write_run(next(iter(suite.runs.values())), results)


def test_a_run_without_a_result_is_not_complete(run_folder: Path):
    (run_folder / "result.json").unlink()
    assert read_run(run_folder) is None
    assert read_run(run_folder.parent / "nowhere") is None


@pytest.mark.parametrize("name", ["metrics.jsonl", "train.jsonl", "provenance.json"])
def test_a_missing_record_is_named(run_folder: Path, name: str):
    (run_folder / name).unlink()
    with pytest.raises(RecordError, match=f"{name} cannot be read"):
        read_run(run_folder)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("metrics.jsonl", '{"split": "test"}', r"metrics\.jsonl, line 1: no metric record"),
        (
            "metrics.jsonl",
            '{"split": "test", "policy": "2", "metric": "top1", "value": 140, "unit": "percent"}',
            "140.0, not between 0 and 100",
        ),
        ("train.jsonl", '{"epoch": 0}', r"train\.jsonl, line 1: no epoch record \('steps'"),
        ("train.jsonl", "{", r"train\.jsonl, line 1"),
        ("result.json", '{"run_id": "x", "status": "fine"}', "no result record"),
        ("provenance.json", "{}", "names no code_hash"),
    ],
)
def test_what_is_no_record_is_named(run_folder: Path, name: str, line: str, message: str):
    (run_folder / name).write_text(line + "\n")
    seal(run_folder)
    with pytest.raises(RecordError, match=message) as error:
        read_run(run_folder)
    assert str(run_folder) in str(error.value)


def test_a_result_of_another_run_is_refused(run_folder: Path):
    path = run_folder / "result.json"
    seal(run_folder, json.loads(path.read_text()) | {"run_id": "other"})
    with pytest.raises(RecordError, match="belongs to another run: 'other'"):
        read_run(run_folder)
