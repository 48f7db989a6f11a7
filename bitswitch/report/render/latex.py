"""Print text and tables as LaTeX; plain pdflatex, no package beyond the standard ones."""

from dataclasses import replace
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bitswitch.report.render.assets import asset
from bitswitch.report.render.table import ABSENT, DASH, Entry, Line, Section, Table
from bitswitch.text import latex

ALONE = "Published rows without a reproduced one below them are not in this suite."

SKIPPED = "skipped: "
"""Begins the footnote to a row that a suite leaves out for a reason of its own."""

TIGHT = 12
"""Columns up to which a long table has letters of the usual size."""

UNBROKEN = 8
"""Letters up to which an entry stays on one line."""

LONG_LABEL = 24
"""Letters from which the labels of rows are wrapped."""

LONG_KIND = 48
"""Letters from which the kinds of rows are."""

LONG_NOTE = 40
"""Letters from which an entry is wrapped."""

_WRAPPED = r">{\raggedright\arraybackslash}p{3.2cm}"
_WRAPPED_KIND = r">{\raggedright\arraybackslash}p{4cm}"

_LABEL_MM, _KIND_MM, _LONG_KIND_MM, _GAP_MM = 25.0, 15.0, 21.0, 1.406
"""Width of labels, kinds and long kinds, between columns (twice 2 pt)."""
_SHORT_LABEL, _SHORT_LABEL_MM = 16, 21.0
"""Letters of a short label, and the width where all are short."""

_NOTE_MM = 50
"""Width of a wrapped entry."""


def escape(text: object) -> str:
    r"""Return ``text`` so that LaTeX prints it literally.

    A letter that pdflatex does not know becomes its nearest plain relative, or its number.

    >>> escape("LSQ_a & b%")
    'LSQ\\_a \\& b\\%'
    >>> escape("\u6f22")
    '[U+6F22]'
    """
    return "".join(latex(letter) or _stand_in(letter) for letter in str(text))


def _stand_in(letter: str) -> str:
    """Return what is printed for a letter without a relative: a space, or its number."""
    return f"[U+{ord(letter):04X}]" if letter.isprintable() else " "


def render(template: str, **content: Any) -> str:
    r"""Return a template below ``report/`` filled in.

    Delimiters are ``\VAR{...}``, ``\BLOCK{...}`` and ``\#{...}``, so that templates stay LaTeX.
    Every value is escaped unless it is ``Markup``; an undefined one is an error.
    """
    return _environment().get_template(template).render(**content)


@cache
def _environment() -> Environment:
    """Return what knows the templates, each read once."""
    environment = Environment(
        block_start_string=r"\BLOCK{",
        block_end_string="}",
        variable_start_string=r"\VAR{",
        variable_end_string="}",
        comment_start_string=r"\#{",
        comment_end_string="}",
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader(asset(".")),
        finalize=lambda value: value if isinstance(value, Markup) else escape(value),
    )
    environment.filters |= {"entry": entry, "code": code}
    return environment


def code(text: str) -> Markup:
    r"""Return a command with every hyphen that it has, which may be broken behind commas.

    >>> code("run --only=a,b")
    Markup('run -{}-only=a,\\allowbreak{}b')
    """
    return Markup(escape(text).replace("--", "-{}-").replace(",", r",\allowbreak{}"))


def table(content: Table) -> str:
    """Return ``content`` in LaTeX: a float, or split over pages where TeX finds it too high.

    That printed numbers have none beside them, since the suite does not run the row, is said once.
    """
    content = _without_absent(content)
    lines = [line for section in content.sections for line in section.lines]
    longest = max((len(line.label) for line in lines), default=0)
    columns = _WRAPPED if longest > LONG_LABEL else "l"
    if content.has_kinds:
        longest = max(len(line.kind) for line in lines)
        columns += _WRAPPED_KIND if longest > LONG_KIND else "l"
    return render(
        "tables/table.tex.j2",
        table=content,
        label_columns=Markup(columns),
        layout=_layout,
        is_tight=content.width > TIGHT,
    )


def _without_absent(content: Table) -> Table:
    """Return a table without the rows that were never to be run; its notes name them."""
    reasons = {letter: text for letter, text in content.footnotes if text.startswith(SKIPPED)}
    skipped: dict[str, dict[str, None]] = {letter: {} for letter in reasons}
    sections, notes = [], list(content.notes)
    for section in content.sections:
        kept = []
        for line, span in section.spans:
            if _is_absent(line):
                notes.append(ALONE)
            elif span == 1 and (letter := _only_mark(line)) in reasons:
                skipped[letter][line.label] = None
            else:
                kept.append(line)
        sections.append(replace(section, lines=tuple(kept)))
    for letter, labels in skipped.items():
        if labels:
            notes.append(f"Rows left out, see {letter}: {'; '.join(labels)}.")
    return replace(content, sections=tuple(sections), notes=tuple(dict.fromkeys(notes)))


def _is_absent(line: Line) -> bool:
    """Return whether a row says more of the one above it: that it is not in the suite."""
    return not line.label and [entry.text for entry in line.entries if entry.text] == [ABSENT]


def _only_mark(line: Line) -> str:
    """Return the footnote that a row's dashes share, of a row without other marks; or nothing."""
    marks = {entry.marks for entry in line.entries if entry.text == DASH}
    numbers = [entry for entry in line.entries if entry.text and entry.text != DASH]
    (only,) = marks if len(marks) == 1 else ((),)
    return only[0] if len(only) == 1 and len(numbers) < 2 and not line.marks else ""


def _layout(section: Section, has_kinds: bool) -> Markup:
    """Return the columns of a section that fills the width of a page."""
    longest = max((len(line.kind) for line in section.lines), default=0)
    kind = _LONG_KIND_MM if longest > LONG_LABEL else _KIND_MM
    is_short = max((len(line.label) for line in section.lines), default=0) <= _SHORT_LABEL
    texts = [_SHORT_LABEL_MM if is_short else _LABEL_MM, *([kind] if has_kinds else [])]
    count = max(section.width, 1)
    taken = sum(texts) + (len(texts) + count - 1) * _GAP_MM
    each = rf"\dimexpr{1 / count:.5f}\linewidth-{taken / count:.3f}mm\relax"
    left = "".join(rf">{{\raggedright\arraybackslash}}p{{{width}mm}}" for width in texts)
    return Markup(rf"@{{}}{left}*{{{count}}}{{>{{\centering\arraybackslash}}p{{{each}}}}}@{{}}")


def entry(content: Entry) -> Markup:
    """Return one cell."""
    text = _number(content)
    if len(content.text) > LONG_NOTE:
        text = rf"\parbox[t]{{{_NOTE_MM}mm}}{{\raggedright {text}}}"
    if content.tone != "plain":
        text = rf"\bs{content.tone}{{{text}}}"
    if content.below:
        text = rf"\bsstack{{{text}}}{{{escape(content.below)}}}"
    if content.anchor:
        text = rf"\bscell{{{content.anchor}}}{text}"
    if content.span > 1:
        text = rf"\multicolumn{{{content.span}}}{{l}}{{{text}}}"
    return Markup(text)


def _number(content: Entry) -> str:
    """Return what a cell says, with its signs."""
    text = escape(content.text)
    if len(content.text) <= UNBROKEN:
        text = text.replace(" ", "~")
    if content.bold:
        text = rf"\textbf{{{text}}}"
    if content.mark:
        text += rf"\bs{content.mark.key}{{{escape(content.mark.sign)}}}"
    if content.marks:
        text += rf"\textsuperscript{{{','.join(content.marks)}}}"
    return text
