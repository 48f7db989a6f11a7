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
from bitswitch.report.document import parts, pdf, scorecard, sources
from bitswitch.report.figures import figures
from bitswitch.report.tables import tables
from bitswitch.suite.suite import Suite
from tests.report.conftest import EXPERIMENTS, make_shared, make_suite, write_run

needs_tex = pytest.mark.skipif(pdf.find_engine() is None, reason="no TeX engine here")
NASTY = r"LSQ_a & b% \o/ {x} #1 ~^ $5 — Größe µ " + "very-long-name-" * 5


def make_parts(suite: Suite, folder: Path) -> None:
    parts.write(Frames.read(folder), folder)
    drawn, *_ = figures.write("figure2", folder)
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
    packed = (folder / sources.NAME).read_bytes()
    assert pdf.write(suite, folder).read_bytes() == content
    assert (folder / sources.NAME).read_bytes() == packed
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
        first, *pages = text.split("\f")
        assert "suite tiny · embedded digits 16x16 · full scale" in first
        assert re.search(r"7 +not testable +There are too few seeds", first)
        assert re.search(r"31 +not run +What the claim", first)
        row = re.compile(r"^(C\d\d) \S", re.M)
        assert sorted(row.findall("\n".join([first, *pages[:2]]))) == sorted(known_claims(suite))
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
    card = (folder / scorecard.CLAIMS).read_text()
    parts = [*(folder / "tables").glob("*.tex"), folder / scorecard.RUNS]
    text = "".join(part.read_text() for part in parts)
    targets = set(re.findall(r"\\(?:bscell|hypertarget)\{([^}]+)\}", text))
    links = set(re.findall(r"\\hyperlink\{([^}]+)\}", card))
    assert {"alrs/resnet20/with-alrs/8-6-4-2/8", "runs:C26"} <= links <= targets
    labels = set(re.findall(r"\\(?:hyperref\[|pageref\{)([^]}]+)", card))
    named = re.findall(r"\\bscaption\{.*\{([^}]+)\}", text)
    assert labels == {"table:table4", "table:table5"} <= {f"table:{name}" for name in named}


def test_a_missing_part_is_named(suite: Suite, folder: Path):
    with pytest.raises(ReportError, match=r"scorecard\.tex is missing"):
        pdf.document(suite, folder)


def compiled(folder: Path, name: str) -> str:
    """Return the text of a document that two passes of pdflatex make in ``folder``."""
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", name]
    for _ in range(2):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-2000:]
    log = (folder / name).with_suffix(".log").read_text(errors="replace")
    assert not re.search(r"undefined (references|citations)|Reference .* undefined", log)
    page = (folder / name).with_suffix(".pdf")
    return subprocess.check_output(["pdftotext", "-layout", str(page), "-"], text=True)


needs_text = pytest.mark.skipif(not shutil.which("pdftotext"), reason="no pdftotext here")


@needs_tex
@needs_text
def test_the_sources_compile_in_an_empty_folder(suite: Suite, folder: Path, tmp_path: Path):
    make_parts(suite, folder)
    pdf.write(suite, folder)
    elsewhere = tmp_path / "elsewhere"
    shutil.unpack_archive(folder / sources.NAME, elsewhere)
    for path in elsewhere.rglob("*.[tbs][eit][xby]"):
        assert str(tmp_path) not in path.read_text()
    text = compiled(elsewhere, "report.tex")
    first, *_ = text.split("\f")
    assert first.index("Scorecard") < first.index("What is exact at any scale")
    assert re.search(r"\[1\] +Haiduo Huang", text)


def test_without_an_engine_the_sources_have_the_bibliography(
    suite: Suite, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make_parts(suite, folder)
    monkeypatch.setattr(pdf, "find_engine", lambda: None)
    pdf.write(suite, folder)
    shutil.unpack_archive(folder / sources.NAME, tmp_path / "elsewhere")
    found = {path.name for path in (tmp_path / "elsewhere").iterdir()}
    assert {"report.tex", "references.bib", "bitswitch.sty", "tables", "figures"} <= found


GUIDE = Path("docs/howto/put-a-table-in-a-paper.md")


@needs_tex
@needs_text
@pytest.mark.parametrize("options", ["", "twocolumn"])
def test_a_table_alone_is_typeset_in_the_paper_of_another(
    options: str, folder: Path, tmp_path: Path
):
    table, _ = tables.write("table4", folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in (table, tables.write_style(folder)):
        shutil.copy(path, elsewhere)
    (paper,) = re.findall(r"^```latex\n(.*?)^```", GUIDE.read_text(), re.M | re.S)
    assert r"\documentclass{article}" in paper
    paper = paper.replace(r"\documentclass", rf"\documentclass[{options}]")
    (elsewhere / "paper.tex").write_text(paper)
    text = compiled(elsewhere, "paper.tex")
    assert "Table 1 shows what the scaled learning rates do." in text
    caption = " ".join(text.split())
    assert "Table 1: Table 4: adaptive learning-rate scaling. suite tiny · embedded" in caption
    assert "not testable" in text
    assert re.search(r"w\. ALRS +published +92\.25", text)
