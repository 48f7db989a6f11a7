"""Tests of ``bitswitch.report.collect.frames``."""

import re
from pathlib import Path

import pandas as pd
import pytest

from bitswitch.errors import RecordError
from bitswitch.report.collect.columns import LATER, TABLES
from bitswitch.report.collect.frames import Frames
from bitswitch.results.deployments import Parity
from bitswitch.results.policies import CostsRecord
from bitswitch.results.record import Record
from bitswitch.results.records import BudgetResult, EpochBits, Metric, Result, ScoringResult
from tests.report.conftest import seal


def test_embedded_and_published_scale_never_mix(folder: Path):
    path = folder / "metrics.csv"
    path.write_text(path.read_text().replace("tiny,embedded", "tiny,published", 1))
    seal(folder)
    with pytest.raises(RecordError, match="never mixed"):
        Frames.read(folder)


def test_a_missing_table_is_named_with_the_remedy(folder: Path):
    (folder / "curves.csv").unlink()
    with pytest.raises(RecordError, match=r"curves\.csv cannot be read(.|\n)*bitswitch report"):
        Frames.read(folder)


@pytest.mark.parametrize("name", ["metrics.csv", "suite.yaml", "result.json"])
def test_a_changed_digit_is_refused_with_the_remedy(folder: Path, name: str):
    path = folder / name
    place = re.search(rb"[1-8]", content := path.read_bytes())
    path.write_bytes(content[: place.start()] + b"9" + content[place.end() :])
    with pytest.raises(RecordError, match=rf"{name} is not as(.*\n)*.*bitswitch report"):
        Frames.read(folder, "metrics")
    path.write_bytes(content)
    assert len(Frames.read(folder, "metrics").metrics)


def test_lost_and_doubled_rows_are_refused(folder: Path):
    lines = (folder / "metrics.csv").read_bytes().splitlines(keepends=True)
    for changed in (lines[:-1], [*lines, lines[-1]]):
        (folder / "metrics.csv").write_bytes(b"".join(changed))
        with pytest.raises(RecordError, match=r"metrics\.csv is not as it was written"):
            Frames.read(folder)


def test_what_was_never_collected_says_how_to(tmp_path: Path):
    with pytest.raises(
        RecordError, match=r"Nothing has been collected(.|\n)*bitswitch report SUITE"
    ):
        Frames.read(tmp_path)


def test_other_columns_are_refused(folder: Path):
    (folder / "runs.csv").write_text("run,status\n")
    seal(folder)
    with pytest.raises(RecordError, match="other columns"):
        Frames.read(folder)


def test_tables_of_before_energy_was_measured_are_read(folder: Path):
    expected = Frames.read(folder)
    for name in ("runs", "storage"):
        path = folder / f"{name}.csv"
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        table.drop(columns=[one for one in LATER if one in table]).to_csv(path, index=False)
    seal(folder)
    found = Frames.read(folder)
    assert found.runs.train_energy_j.isna().all()
    assert list(found.runs) == list(expected.runs)
    assert found.runs.train_time_s.tolist() == expected.runs.train_time_s.tolist()


@pytest.mark.parametrize(
    ("table", "record", "elsewhere"),
    [
        ("curves", EpochBits, set()),
        ("deployments", Parity, set()),
        ("policies", BudgetResult, set()),
        ("policies", CostsRecord, set()),
        ("runs", Result, {"run_id"}),
        ("sensitivities", ScoringResult, {"identifier", "time_kind"}),
        ("metrics", Metric, set()),
    ],
)
def test_no_field_of_a_file_is_lost(table: str, record: type[Record], elsewhere: set[str]):
    assert set(record.model_fields) - set(TABLES[table]) <= elsewhere
