"""Tests of ``bitswitch.report.document.pdf``."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from bitswitch.errors import ReportError
from bitswitch.report.claims.resolution import known_claims
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.document import pdf, scorecard
from bitswitch.report.figures import figures
from bitswitch.report.tables import tables
from bitswitch.suite.suite import Suite
from tests.report.conftest import EXPERIMENTS, make_shared, make_suite, write_run

needs_tex = pytest.mark.skipif(pdf.find_engine() is None, reason="no TeX engine here")
NASTY = r"LSQ_a & b% \o/ {x} #1 ~^ $5 — Größe µ " + "very-long-name-" * 5


def make_parts(suite: Suite, folder: Path) -> None:
    scorecard.write(Frames.read(folder), folder)
    for name in tables.names(suite):
        tables.write(name, folder)
    drawn, _ = figures.write("figure2", folder)
    for name in figures.names(suite)[1:]:
        shutil.copy(drawn, folder / f"figures/{name}.pdf")


@needs_tex
def test_nasty_names_are_typeset(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    temporary = tmp_path / "a b$HOME%#~&{x}:ü"  # which TeX works below
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    variants = {"a": {"title": NASTY}, "b": {"title": "plain"}}
    mine = {"title": NASTY, "networks": ["resnet20"], "variants": variants}
    suite = make_suite(title=NASTY, experiments={"readings": EXPERIMENTS["readings"], "mine": mine})
    first, *others = suite.runs.values()
    write_run(first, results, status="diverged", diagnosis=NASTY)
    for run in others:
        write_run(run, results)
    folder = collect.write(suite, results)
    make_parts(suite, folder)
    path = pdf.write(suite, folder)
    assert path.name == pdf.output_name() == "report.pdf"
    content = path.read_bytes()
    assert content.startswith(b"%PDF")
    assert pdf.write(suite, folder).read_bytes() == content
    if shutil.which("pdftotext"):
        text = subprocess.check_output(["pdftotext", str(path), "-"], text=True)
        assert "LSQ_a & b%" in text
        assert "Readings of Eq. 6" in text


@needs_tex
def test_long_tables_and_cards_are_typeset(results: Path):
    suite = make_shared("table1")
    for run in suite.runs.values():
        write_run(run, results)
    folder = collect.write(suite, results)
    make_parts(suite, folder)
    path = pdf.write(suite, folder)
    if shutil.which("pdftotext"):
        text = subprocess.check_output(["pdftotext", "-layout", str(path), "-"], text=True)
        first, second, *_ = text.split("\f")
        assert "suite tiny · embedded digits 16x16 · full scale" in first
        assert re.search(r"7 +not testable +There are too few seeds", first)
        assert re.search(r"31 +not run +What the claim", first)
        row = re.compile(r"^(C\d\d) \S", re.M)
        assert sorted(row.findall(first) + row.findall(second)) == sorted(known_claims(suite))
        assert "Table 1: multi-precision from eight bits, continued" in text
        assert re.search(r"Hot-Swap +published +no +32 +own +70.40 +70.30", text)
        assert re.search(r"original code +MIT", text)
        assert "Adabits (adabits): Jin, Yang and Liao, AdaBits" in text


@needs_tex
def test_more_floats_than_tex_holds_back_are_typeset(
    suite: Suite, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    make_parts(suite, folder)
    table, (name, drawing) = tables.names(suite)[0], next(iter(figures.of(suite).items()))
    many = [f"table-{number}" for number in range(33)]
    drawn = {f"figure-{number}": drawing for number in range(25)}
    for copy in many:
        shutil.copy(folder / f"tables/{table}.tex", folder / f"tables/{copy}.tex")
    for copy in drawn:
        shutil.copy(folder / f"figures/{name}.pdf", folder / f"figures/{copy}.pdf")
    monkeypatch.setattr(tables, "names", lambda _: many)
    monkeypatch.setattr(figures, "of", lambda _: drawn)
    assert pdf.write(suite, folder).read_bytes().startswith(b"%PDF")


def test_without_an_engine_a_notice_says_how_to_get_one(
    suite: Suite, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    make_parts(suite, folder)
    monkeypatch.setattr(pdf, "find_engine", lambda: None)
    path = pdf.write(suite, folder)
    assert path.name == pdf.output_name() == "report.pdf.missing.txt"
    assert "apt-get install" in path.read_text()
    assert (folder / "report.tex").is_file()


@needs_tex
def test_an_error_of_tex_is_shown(suite: Suite, folder: Path, monkeypatch: pytest.MonkeyPatch):
    make_parts(suite, folder)
    monkeypatch.setattr(pdf, "document", lambda *_: r"\documentclass{article}\nonsense")
    with pytest.raises(ReportError, match=r"TeX cannot set(.|\n)*Undefined control sequence"):
        pdf.write(suite, folder)


def test_every_link_of_the_scorecard_has_its_target(suite: Suite, folder: Path):
    make_parts(suite, folder)
    card = (folder / scorecard.SECTION).read_text()
    parts = [*(folder / "tables").glob("*.tex"), folder / scorecard.RUNS]
    text = "".join(part.read_text() for part in parts)
    targets = set(re.findall(r"\\(?:bscell|hypertarget)\{([^}]+)\}", text))
    links = set(re.findall(r"\\hyperlink\{([^}]+)\}", card))
    assert {"alrs/resnet20/with-alrs/8-6-4-2/8", "runs:C26"} <= links <= targets
    labels = set(re.findall(r"\\(?:hyperref\[|pageref\{)([^]}]+)", card))
    assert labels == {"table:table4", "table:table5"} <= set(re.findall(r"\\label\{([^}]+)", text))


def test_a_missing_part_is_named(suite: Suite, folder: Path):
    with pytest.raises(ReportError, match=r"scorecard\.tex is missing"):
        pdf.document(suite, folder)
