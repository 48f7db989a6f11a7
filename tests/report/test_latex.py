"""Tests of ``bitswitch.report.latex``."""

import pytest
from jinja2 import UndefinedError

from bitswitch.report import latex
from bitswitch.report.table import DASH, Entry, Group, Line, Section, Table


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
    ("letter", "printed"), [("é", "é"), ("ﬁ", "fi"), ("漢", "?"), ("\\", r"\textbackslash{}")]
)
def test_letters_that_tex_does_not_know_have_a_stand_in(letter, printed):
    assert latex.escape(letter) == printed


def test_entries_show_all_they_have():
    entry = Entry("1.0", below="±0.1", tone="match", bold=True, marks=("a", "b"), span=2)
    assert latex.entry(entry) == (
        r"\multicolumn{2}{l}{\bsstack{\bsmatch{\textbf{1.0}\textsuperscript{a,b}}}{$\pm$0.1}}"
    )


def test_long_labels_are_wrapped():
    assert "p{3.2cm}" in latex.table(make_table("a label that is much too long for one line"))
    assert "p{3.2cm}" not in latex.table(make_table())


def test_headers_are_repeated_only_where_columns_change():
    table = make_table()
    twice = Table(table.name, "t", "s", (*table.sections, *table.sections))
    assert latex.table(twice).count(r"\cmidrule") == 1


def test_an_undefined_variable_is_an_error():
    with pytest.raises(UndefinedError):
        latex.render("tables/table.tex.j2", label_column="l")
