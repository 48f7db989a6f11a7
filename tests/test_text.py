# ruff: noqa: RUF001  (the letters that look like others are the point)
"""What names and titles may hold is safe in LaTeX, HTML, figures, file names and terminals."""

import re
import shutil
import subprocess
from io import StringIO

import pytest
from pydantic import TypeAdapter, ValidationError

from bitswitch.report.figures.drawing import figure, save, style
from bitswitch.report.render import latex, page, table
from bitswitch.suite.suite import Suite
from bitswitch.text import LATEX, LONGEST_NAME, Key, Title

ODD = r"""a [red]b[/red] $\foo$ 5$ <b>&amp;</b> {c} #1 100 % x_1^2 ~ \input{x} | "q" 'r' `s`"""
"""Means something to each of them."""
LETTERS = "".join(letter for letter in map(chr, range(0xA1, 0x180)) if latex.latex(letter))


def is_title(text: str) -> bool:
    try:
        TypeAdapter(Title).validate_python(text)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("text", [ODD, "Größe ≤ 3 × σ, naïve", "αβγ → ∞", "ﬁ", "ế"])
def test_titles_may_hold_what_all_can_show(text):
    assert is_title(text)
    assert "?" not in latex.escape(text)
    assert "U+" not in latex.escape(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("two\nlines", "control character U+000A"),
        ("tab\t", "control character U+0009"),
        ("\x1b[31mred", "control character U+001B"),
        ("\u202eright to left", "direction mark U+202E"),
        ("\u2066isolated", "direction mark U+2066"),
        ("\ud800", "string"),
        ("漢字", "'漢' (U+6F22) is a letter that the report cannot print"),
        ("smile 😀", "U+1F600"),
        ("ħ", "U+0127"),
        (" ", "no title"),
        ("_hidden", "begin with a letter"),
        ("x" * 121, "at most 120 characters"),
    ],
)
def test_titles_do_not_hold_what_one_cannot_show(text, message):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Title).validate_python(text)
    assert message in str(caught.value)


def test_composed_and_decomposed_letters_are_the_same_title():
    read = TypeAdapter(Title).validate_python
    assert read("e\u0301") == read("\u00e9") == "\u00e9"


@pytest.mark.parametrize(
    "text", ["", ".hidden", "-option", "a/b", "a b", "a\n", "é", "a;b", "$(a)", "x" * 61]
)
def test_names_are_parts_of_file_names(text):
    with pytest.raises(ValidationError):
        TypeAdapter(Key).validate_python(text)


def test_the_longest_names_make_file_names():
    name = TypeAdapter(Key).validate_python("x" * LONGEST_NAME)
    file = f"{name}-{name}-{name}-8-7-6-5-4-3-2.missing.txt.tmp"
    assert len(file.encode()) < 255


@pytest.mark.parametrize(
    "name", ["runs", "Runs", "searches", "sensitivities", "deployments", "reference", "data"]
)
def test_no_report_lies_among_results(name):
    with pytest.raises(ValidationError, match="is a folder of results"):
        Suite.model_validate({"name": name})


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs LaTeX")
def test_latex_prints_every_letter_that_is_allowed(tmp_path):
    lines = "\n\n".join(map(latex.escape, (ODD, LETTERS, "".join(LATEX))))
    head = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}"
    packages = r"\usepackage{lmodern,textcomp}\begin{document}"
    (tmp_path / "a.tex").write_text(f"{head}{packages}\n{lines}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in done.stdout + (tmp_path / "a.log").read_text("latin-1")


def test_html_holds_text_and_no_tags():
    section = table.Section(ODD, ODD, (), (table.Line(ODD, "", ()),))
    text = page.table(table.Table("t", ODD, ODD, (section,)))
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;amp;" in text


def test_figures_take_dollars_for_dollars(tmp_path):
    with style():
        drawn = figure(1.0, ODD)
        axes = drawn.subplots()
        axes.plot([1, 2], [1, 1000], label=ODD)
        axes.set(title=ODD, yscale="log")
        axes.legend()
        files = save(drawn, tmp_path / "figure")
    assert [file.suffix for file in files] == [".pdf", ".png", ".svg"]
    assert all(file.stat().st_size for file in files)


def test_terminals_show_brackets_as_they_are():
    from rich.console import Console

    from bitswitch.runtime.progress import Board, Status, render

    console = Console(width=400, record=True, file=StringIO())
    console.print(render(Board(1, running=[Status("a[red]b[/red]", "running")], others=["[/x]"])))
    text = console.export_text()
    assert "a[red]b[/red]" in text
    assert "[/x]" in text
    assert not re.search("\x1b", text)
