"""Tests of ``bitswitch.report.render.latex``."""

import re
import shutil
import subprocess

import pytest
from jinja2 import UndefinedError

from bitswitch.report.document.pdf import find_engine
from bitswitch.report.render import latex
from bitswitch.report.render.assets import asset
from bitswitch.report.render.marks import Mark
from bitswitch.report.render.table import ABSENT, DASH, Entry, Group, Line, Section, Table


def make_table(label: str = "LSQ_a & b%", entry: Entry | None = None) -> Table:
    line = Line(label, "reproduced", (entry or Entry("93.41", "±0.08 (3)"), Entry(DASH)))
    section = Section("Net_1", "on #1 ~data", (Group("{8,6}", ("w8a8", "w6a6")),), (line,))
    return Table("t", "A $title$", "stamp^", (section,), ("100 % λ",), (("a", "<why>"),))


def test_special_characters_are_printed_literally():
    text = latex.table(make_table())
    assert r"LSQ\_a \& b\%" in text
    assert r"A \$title\$" in text
    assert r"stamp\textasciicircum{}" in text
    assert r"on \#1 \textasciitilde{}data" in text
    assert r"100 \% $\lambda$" in text
    assert r"\textless{}why\textgreater{}" in text


@pytest.mark.parametrize(
    ("letter", "printed"),
    [
        ("é", "é"),
        ("ﬁ", "fi"),
        ("漢", "[U+6F22]"),
        ("ħ", "[U+0127]"),
        ("\x07", " "),
        ("\\", r"\textbackslash{}"),
    ],
)
def test_letters_that_tex_does_not_know_have_a_stand_in(letter, printed):
    assert latex.escape(letter) == printed


def test_entries_show_all_they_have():
    letters = ("a", "b")
    entry = Entry(
        "1.0", "±0.1", "muted", bold=True, mark=Mark("higher"), marks=letters, span=2, anchor="a/b"
    )
    assert latex.entry(entry) == (
        r"\multicolumn{2}{l}{\bscell{a/b}\bsstack{\bsmuted{\textbf{1.0}\bshigher{$\uparrow$}"
        r"\textsuperscript{a,b}}}{$\pm$0.1}}"
    )


def test_long_labels_are_wrapped():
    assert "p{3.2cm}" in latex.table(make_table("a label that is much too long for one line"))
    assert "p{3.2cm}" not in latex.table(make_table())


def test_headers_are_repeated_only_where_columns_change():
    table = make_table()
    twice = Table(table.name, "t", "s", (*table.sections, *table.sections))
    in_one_piece, _, _ = latex.table(twice).partition(r"\ifdim")
    assert in_one_piece.count(r"\cmidrule") == 1


def make_long_table(columns: int) -> Table:
    names = tuple(f"w{n}" for n in range(columns))
    cells = tuple(Entry("93.41", "±0.08 (3)") for _ in names)
    variant = (
        Line("method", "published", cells, rule=True),
        Line("", "reproduced", cells, marks=("a",)),
    )
    narrow = Section("Net_1", "about", (Group("{8,6}", names[:2]),), (Line("m", "k", cells[:2]),))
    wide = Section("Net_2", "about", (Group("{8,6}", names),), variant * 30)
    return Table("t", "Title", "stamp", (narrow, wide, wide), ("Note.",), (("a", "why"),))


def long_form(table: Table) -> list[str]:
    """Return the lines of the form that is split over pages."""
    lines = latex.table(table).splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith(r"\ifdim"))
    return lines[start : lines.index(r"\else")]


def test_the_long_form_is_split_over_pages_with_its_header_repeated():
    text = "\n".join(long_form(make_long_table(9)))
    assert r"\begin{table}" not in text
    assert text.count(r"\begin{longtable}") == text.count(r"\end{longtable}") == 2
    assert text.count(r"\endhead") == 2
    assert text.count("w8") == 2
    assert r"\textit{Title, continued}" in text
    assert r"\textsuperscript{a}\,why." in text


def test_the_header_of_the_long_form_ends_with_its_rule():
    lines = long_form(make_long_table(9))
    ends = [at for at, line in enumerate(lines) if line in (r"\endfirsthead", r"\endhead")]
    assert len(ends) == 4
    # Between the header and a rule that is no part of it, a page may end.
    assert all(lines[at - 1].endswith(r"\midrule") for at in ends)


def test_long_kinds_are_wrapped():
    def columns(kind: str) -> str:
        cells = (Entry("1"),)
        section = Section("s", "", (Group("", ("x",)),), (Line("l", kind, cells),))
        return latex.table(Table("t", "Title", "stamp", (section,)))

    assert "@{}ll*{1}{c}@{}" in columns("one / other")
    assert "p{4cm}*{1}{c}@{}" in columns("a long name / " * 4)


def test_the_rows_of_a_method_stay_on_one_page():
    ends = [line for line in long_form(make_long_table(9)) if line in (r"\\", r"\\*")]
    assert ends.count(r"\\*") == 60


def make_rows(count: int, columns: int = 1, note: str = "") -> Table:
    cells = (Entry("93.41", "±0.08 (3)"),) * columns
    section = Section(
        "Net",
        "about",
        (Group("", tuple(f"w{n}" for n in range(columns))),),
        (Line("method", "reproduced", cells),) * count,
    )
    return Table("t", "Title", "stamp", (section,), (note,) if note else ())


PAGE = r"""
\documentclass[10pt,a4paper]{article}
\usepackage[T1]{fontenc}
\usepackage{bitswitch}
\usepackage[margin=2.1cm]{geometry}
\let\longtables\longtable
\def\longtable{\typeout{LONG}\longtables}
\begin{document}
"""


@pytest.mark.skipif(find_engine() is None, reason="no TeX engine here")
def test_tex_measures_whether_a_page_holds_a_table(tmp_path):
    note = "All letters count. " * 100
    tables = {
        "short": (make_rows(25), False),
        "long": (make_rows(50), True),
        "short, but for its notes": (make_rows(34, note=note), True),
        "as long, without notes": (make_rows(34), False),
        "short, as wide": (make_rows(10, columns=30), False),
        "long, but for smaller letters": (make_rows(45, columns=30), True),
    }
    parts = [rf"\typeout{{=={name}}}" + latex.table(table) for name, (table, _) in tables.items()]
    parts += [r"\textheight=300pt \typeout{==short, on a lower page}", latex.table(make_rows(25))]
    shutil.copy(asset("paper", "bitswitch.sty"), tmp_path)
    (tmp_path / "t.tex").write_text(PAGE + "\n".join(parts) + r"\end{document}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    found = [part.split("\n", 1) for part in done.stdout.split("==")[1:]]
    expected = {name: is_long for name, (_, is_long) in tables.items()}
    expected["short, on a lower page"] = True
    assert {name: "LONG" in rest for name, rest in found} == expected


@pytest.mark.parametrize("columns", [5, 9, 12])
def test_columns_of_a_long_table_fill_the_line(columns: int):
    section = make_long_table(columns).sections[1]
    layout = latex._layout(section, has_kinds=True)
    label, kind = map(float, re.findall(r"p\{([\d.]+)mm\}", layout))
    share, less = map(float, re.findall(r"dimexpr([\d.]+)\\linewidth-([\d.]+)mm", layout)[0])
    assert f"*{{{columns}}}" in layout
    gaps = (columns + 1) * 4 / 72.27 * 25.4
    assert columns * share == pytest.approx(1, abs=1e-4)
    assert label + kind + gaps == pytest.approx(columns * less, abs=0.05)


def test_long_notes_are_wrapped():
    note = Entry("because " * 8, tone="note", span=3)
    assert r"\parbox[t]{50mm}" in latex.entry(note)
    assert r"\parbox" not in latex.entry(Entry("short", tone="note", span=3))


def test_rows_that_are_not_run_are_said_once():
    group = (Group("{8,6}", ("w8a8", "w6a6")), Group("", ("FP",)))
    printed = (Entry("69.1", tone="published"), Entry("68.5", tone="published"), Entry())
    note = (Entry(ABSENT, tone="note", span=3),)
    skipped, lost = (Entry(DASH, marks=(letter,)) for letter in "ab")
    full = Entry("90.7")
    lines = (
        Line("Printed", "published", printed),
        Line("", "reproduced", note),
        Line("Alone", "reproduced", (skipped, skipped, full)),
        Line("Lost", "reproduced", (lost, lost, full)),
        Line("In part", "reproduced", (skipped, Entry("89.1"), full)),
    )
    reasons = (("a", "skipped: no recipe is published"), ("b", "collapsed"))
    table = Table("t", "Title", "stamp", (Section("N", "", group, lines),), (), reasons)
    text = latex.table(table)
    assert "69.1" in text
    assert text.count("not in this suite") == text.count(latex.ALONE) == 2  # once in either form
    assert "Rows left out, see a: Alone." in text
    assert "\nAlone\n" not in text
    assert "\nLost\n" in text
    assert "\nIn part\n" in text


def test_an_undefined_variable_is_an_error():
    with pytest.raises(UndefinedError):
        latex.render("tables/table.tex.j2", label_columns="l")
