"""Tests of ``bitswitch.report.frames``."""

from pathlib import Path

import pytest

from bitswitch.errors import RecordError
from bitswitch.report.frames import Frames


def test_embedded_and_published_scale_never_mix(folder: Path):
    path = folder / "metrics.csv"
    path.write_text(path.read_text().replace("tiny,embedded", "tiny,published", 1))
    with pytest.raises(RecordError, match="never mixed"):
        Frames.read(folder)


def test_a_missing_table_is_named_with_the_remedy(folder: Path):
    (folder / "curves.csv").unlink()
    with pytest.raises(RecordError, match=r"curves\.csv cannot be read(.|\n)*bitswitch report"):
        Frames.read(folder)


def test_what_was_never_collected_says_how_to(tmp_path: Path):
    with pytest.raises(
        RecordError, match=r"Nothing has been collected(.|\n)*bitswitch report SUITE"
    ):
        Frames.read(tmp_path)


def test_other_columns_are_refused(folder: Path):
    (folder / "runs.csv").write_text("run,status\n")
    with pytest.raises(RecordError, match="other columns"):
        Frames.read(folder)
