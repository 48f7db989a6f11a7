"""Tests of ``bitswitch.report.packs.pack``."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bitswitch.errors import RecordError
from bitswitch.report.collect import collect
from bitswitch.report.collect.columns import TABLES
from bitswitch.report.collect.frames import Frames
from bitswitch.report.packs import pack
from bitswitch.results import archive
from bitswitch.suite.suite import Suite
from tests.report.conftest import know_plugins

WITHOUT_TORCH = "raise ImportError('is not installed here')\n"
TOP = Path(__file__).resolve().parents[3]
REFERENCE = TOP / "results" / "reference" / "mini.tar.xz"


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which neither torch nor what needs it can be imported."""
    folder = tmp_path / "absent"
    folder.mkdir()
    for name in ("torch", "torchvision", "timm"):
        (folder / f"{name}.py").write_text(WITHOUT_TORCH)
    return {**os.environ, "PYTHONPATH": str(folder)}


def run(arguments: list[str], folder: Path, environment: dict[str, str]) -> str:
    command = [sys.executable, "-c", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_pack_gives_the_tables_that_were_collected(
    packed: Path, packs_suite: Suite, written: Path, known_plugins: None
):
    expected = collect.collect(packs_suite, written)
    with pack.opened(packed) as opened:
        assert opened.suite.cells == packs_suite.cells
        frames = opened.frames()
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(frames, name), getattr(expected, name))
    run_id = next(iter(packs_suite.runs))
    assert (
        frames.correct(run_id, 32, "top1").tolist()
        == expected.correct(run_id, "32", "top1").tolist()
    )


def test_a_pack_holds_records_tables_and_no_network(packed: Path):
    names = archive.checked(packed).members
    endings = {name.rpartition(".")[2] for name in names}
    assert endings == {"json", "jsonl", "csv", "yaml"}
    assert {name.split("/")[0] for name in names} == {*pack.KINDS, "tiny"}
    assert {f"tiny/{name}" for name in collect.OUTPUTS} <= names.keys()


def test_the_same_results_make_the_same_bytes(
    packed: Path, packs_suite: Suite, written: Path, tmp_path: Path, known_plugins: None
):
    pack.write(packs_suite, written, tmp_path / "again.tar.xz")
    assert (tmp_path / "again.tar.xz").read_bytes() == packed.read_bytes()


def test_a_damaged_record_is_not_packed(
    packs_suite: Suite, all_of_it: Path, tmp_path: Path, known_plugins: None
):
    path = all_of_it / "runs" / next(iter(packs_suite.runs)) / "metrics.jsonl"
    path.write_text(path.read_text().replace("9", "8", 1))
    with pytest.raises(RecordError, match=r"metrics\.jsonl is not as it was written"):
        pack.write(packs_suite, all_of_it, tmp_path / "x.tar.xz")
    assert not (tmp_path / "x.tar.xz").exists()


def test_what_has_not_run_yet_is_packed_as_missing(
    packs_suite: Suite, tmp_path: Path, known_plugins: None
):
    pack.write(packs_suite, tmp_path, tmp_path / "x.tar.xz")
    with pack.opened(tmp_path / "x.tar.xz") as opened:
        assert set(opened.frames().runs.status) == {"missing"}


def test_a_report_of_a_pack_never_replaces_that_of_other_results(
    packed: Path, packs_suite: Suite, all_of_it: Path, tmp_path: Path, known_plugins: None
):
    _, folder = pack.report(packed, tmp_path / "results")
    assert pack.report(packed, tmp_path / "results")[1] == folder == tmp_path / "results" / "tiny"
    assert Frames.read(folder).suite.cells == packs_suite.cells
    (all_of_it / "runs" / next(reversed(packs_suite.runs)) / "result.json").unlink()
    collect.write(packs_suite, all_of_it)
    with pytest.raises(RecordError, match=r"tables of other results(.|\n)*--results FOLDER"):
        pack.report(packed, all_of_it)


@pytest.mark.slow
def test_the_command_line_reports_and_verifies_a_pack_without_torch(
    packed: Path, tmp_path: Path, bare: dict[str, str]
):
    (tmp_path / "tiny.tar.xz").write_bytes(packed.read_bytes())
    code = (
        "import sys; from bitswitch.cli.app import app\n"
        "for line in ('report tiny.tar.xz', 'table tiny.tar.xz', 'results verify tiny.tar.xz',\n"
        "             'results merge tiny.tar.xz tiny.tar.xz -o two.tar.xz'):\n"
        "    app(line.split(), standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    printed = run([code], tmp_path, bare | {"PATH": ""})
    assert "results/tiny/report.html" in printed
    assert "tiny.tar.xz: every number is as it was written" in printed
    assert "Top-1" in (tmp_path / "results/tiny/report.html").read_text()
    assert (tmp_path / "two.tar.xz").read_bytes() == packed.read_bytes()


RENDER = """
import sys
from pathlib import Path
from bitswitch.report.collect.frames import Frames
from bitswitch.report.document import html, parts, pdf
from bitswitch.report.figures import figures
from bitswitch.report.packs import pack
from bitswitch.report.tables import tables

suite, folder = pack.report(Path(sys.argv[1]), Path("results"))
frames = Frames.read(folder)
parts.write(frames, folder)
first, *others = figures.names(suite)
drawn = figures.write(first, folder, frames)
for name in others:
    for path in drawn:
        path.with_stem(name).write_bytes(path.read_bytes())
print(html.write(suite, folder), pdf.write(suite, folder), len(tables.names(suite)))
assert "torch" not in sys.modules
"""


@pytest.mark.slow
def test_the_reference_renders_without_torch(tmp_path: Path, bare: dict[str, str]):
    """All tables, and the documents; drawing all figures takes half a minute: see below."""
    page, document, count = run([RENDER, str(REFERENCE)], tmp_path, bare).split()
    text = (tmp_path / page).read_text()
    assert text.count("<table") >= int(count) > 10
    assert (tmp_path / document).exists()


@pytest.mark.long
def test_the_reference_renders_by_one_command(tmp_path: Path, bare: dict[str, str]):
    code = "from bitswitch.cli.app import app; import sys; app(['report', sys.argv[1]])"
    assert "report.html" in run([code, str(REFERENCE)], tmp_path, bare)
    assert (tmp_path / "results/mini/report.html").stat().st_size <= 3_000_000


def test_the_reference_is_as_it_was_written(bitswitch: Callable[..., tuple[int | str, str, str]]):
    assert bitswitch("results", "verify", REFERENCE)[0] == 0


def test_the_how_to_is_done(
    bitswitch: Callable[..., tuple[int | str, str, str]],
    packs_suite: Suite,
    written: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    from tests.workflow.test_stranger import blocks

    know_plugins(monkeypatch)
    monkeypatch.setattr("bitswitch.report.document.pdf.find_engine", lambda: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bitswitch.suite.suite.load_suite", lambda path: packs_suite)
    (tmp_path / "results").symlink_to(written)
    (tmp_path / "config" / "suites").mkdir(parents=True)
    (tmp_path / "config" / "suites" / "mini.yaml").touch()
    lines = [
        line
        for block in blocks(TOP / "docs" / "howto" / "share-results.md")
        if block.language == "sh"
        for line in block.content.splitlines()
    ]
    assert len(lines) >= 5
    for line in lines:
        name, *arguments = line.split()
        assert name == "bitswitch"
        code, _, error = bitswitch(*arguments)
        assert code == 0, f"{line}\n{error}"
        if "results pack" in line:
            shutil.copy("site-a.tar.xz", "site-b.tar.xz")  # another machine's
