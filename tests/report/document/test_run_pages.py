"""Tests of ``bitswitch.report.document.run_pages``."""

import shutil
from pathlib import Path

import pytest

from bitswitch.report.collect.frames import Frames
from bitswitch.report.document import run_pages
from tests.report.conftest import know_plugins


@pytest.fixture(scope="module")
def written(all_results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("pages")
    folder = results / "tiny"
    shutil.copytree(all_results / "tiny", folder)
    with pytest.MonkeyPatch.context() as patch:
        know_plugins(patch)
        frames = Frames.read(folder)
        first = sorted(frames.ended)[0]
        log = results / "runs" / first / "log"
        log.parent.mkdir(parents=True)
        log.write_text("".join(f"line {at}\n" for at in range(100)))
        (folder / "runs").mkdir()
        (folder / "runs/gone.html").touch()
        run_pages.write(frames, folder)
    return folder


def test_every_run_that_ended_has_a_page_and_no_other(written: Path):
    frames = Frames.read(written)
    assert {path.stem for path in (written / "runs").iterdir()} == frames.ended


def test_a_page_says_what_a_run_is_what_it_found_and_what_made_it(written: Path):
    frames = Frames.read(written)
    run = next(one for one in frames.runs.run if one.startswith("double-rounding-resnet20"))
    text = (written / f"runs/{run}.html").read_text()
    row = frames.metrics[(frames.metrics.run == run) & (frames.metrics.split == "test")].iloc[0]
    assert f"<td>{row.value:.5g}</td>" in text
    assert f'<th scope="col">{row.policy} bits</th>' in text
    assert "name: double-rounding" in text
    assert "0123456789abcdef" in text
    curves = frames.curves[(frames.curves.run == run) & frames.curves.loss.notna()]
    assert text.count("<polyline") == curves.bits.nunique() * (
        1 + int(curves.held_out_headline.notna().any())
    )
    assert f'href="../report.html#job-{run}"' in text
    assert "default-src 'none'" in text


def test_the_end_of_the_log_is_shown_where_it_is(written: Path):
    first, *_, last = sorted((written / "runs").iterdir())
    text = first.read_text()
    assert "line 99" in text
    assert "line 40" in text
    assert "line 39" not in text
    assert "The log is not here" in last.read_text()
