"""What a table is, before it is printed in LaTeX or HTML."""

import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from bitswitch.report.render.marks import Mark, explained

Tone = Literal["plain", "published", "muted", "note"]
"""Why a cell looks as it does."""

WIDE = 8
"""Columns up to which a table is printed at the usual size."""

DASH = "\N{EN DASH}"

ABSENT = f"{DASH} not in this suite"
"""What stands in a row that a suite does not run."""


def anchor(*place: str) -> str:
    """Return the name by which links find a cell: plain letters, for HTML and LaTeX.

    >>> anchor("alrs", "resnet20", "with-alrs", "{8,6}", "3.5 MP")
    'alrs/resnet20/with-alrs/8-6/3.5-MP'
    """
    return "/".join(_UNLINKED.sub("-", part).strip("-") for part in place)


_UNLINKED = re.compile(r"[^A-Za-z0-9.]+")


class Value(NamedTuple):
    """One of the values behind a cell."""

    name: str
    """E.g. its seed."""
    text: str
    """What was measured, or what became of it."""
    run: str
    """Identifier of the job: a run, a search or a sensitivity."""


@dataclass(frozen=True)
class Detail:
    """What is behind a cell, for readers who ask."""

    count: str
    """How many values there are, and of what, e.g. ``3 seeds``."""
    interval: str = ""
    """Of the mean, 95 %."""
    values: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One cell."""

    text: str = ""
    below: str = ""
    """Small print under the text, e.g. a spread."""
    tone: Tone = "plain"
    bold: bool = False
    mark: Mark | None = None
    """Whether it agrees with what is printed; None where nothing is."""
    marks: tuple[str, ...] = ()
    """Footnotes, by letter."""
    span: int = 1
    """Columns taken."""
    anchor: str = ""
    """Name by which links find it; empty: none does."""
    detail: Detail | None = None
    """Pages tell it; print does not."""


@dataclass(frozen=True)
class Group:
    """Columns under one heading."""

    title: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """One row: what it is, then one entry per column."""

    label: str
    kind: str
    entries: tuple[Entry, ...]
    marks: tuple[str, ...] = ()
    """Footnotes to all of its entries."""
    rule: bool = False
    """Leave some space above."""
    method: str = ""
    """Title of the method, by which pages filter; empty: they never hide the line for it."""
    distilled: bool | None = None
    """Whether it learns from soft targets; None: that is no question here."""
    detail: Detail | None = None
    """What is behind all entries that have none of their own."""


@dataclass(frozen=True)
class Section:
    """Rows that belong together, e.g. one network."""

    title: str
    about: str
    """Data and recipes."""
    groups: tuple[Group, ...]
    lines: tuple[Line, ...]
    network: str = ""
    """Its title, by which pages filter; empty: they never hide the section for it."""
    is_grouped: bool = False
    """Whether lines without a label say more of the one above, so that they stay together."""

    @property
    def width(self) -> int:
        """Number of columns after the labels."""
        return sum(len(group.columns) for group in self.groups)

    @property
    def spans(self) -> list[tuple[Line, int]]:
        """Each line, and the number of lines that its label stands for; 0 below the first one."""
        starts = [at for at, line in enumerate(self.lines) if line.label or at == 0]
        ends = [*starts[1:], len(self.lines)]
        span = {start: end - start for start, end in zip(starts, ends, strict=False)}
        return [(line, span.get(at, 0)) for at, line in enumerate(self.lines)]


LEGEND = {
    "±": "±: one standard deviation of the values whose number n stands in parentheses behind it.",
    "[": "[low, high]: 95 % confidence interval of the mean.",
    " of ": "(k of n): only k are complete; footnotes say how the others failed. If seeds "
    "collapsed to guessing or diverged, the mean is that of the survivors: it is never bold, and "
    "no difference, effect or verdict is taken from it.",
}
"""What signs below numbers mean, in every table."""

COUNTED = re.compile(r"\(\d+( of )\d+\)")
"""A number of complete values and of all."""


@dataclass(frozen=True)
class Table:
    """A table with everything its reader needs."""

    name: str
    """Of its files and of its label."""
    title: str
    stamp: str
    """Suite and data."""
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()
    """How to read it."""
    footnotes: tuple[tuple[str, str], ...] = ()
    """(letter, text)."""

    @property
    def legend(self) -> tuple[str, ...]:
        """The notes, and what those signs mean that stand behind and below numbers."""
        entries = [e for s in self.sections for line in s.lines for e in line.entries]
        below = [entry.below for entry in entries]
        used = {sign for text in below for sign in ("±", "[") if sign in text}
        used |= {found[1] for text in below if (found := COUNTED.search(text))}
        marks = explained(entry.mark for entry in entries if entry.mark)
        return (*self.notes, *marks, *(text for sign, text in LEGEND.items() if sign in used))

    @property
    def width(self) -> int:
        """Number of columns after the labels."""
        return max((section.width for section in self.sections), default=0)

    @property
    def is_wide(self) -> bool:
        """Whether it needs smaller print."""
        return self.width > WIDE

    @property
    def has_kinds(self) -> bool:
        """Whether rows need a second label."""
        return any(line.kind for section in self.sections for line in section.lines)

    @property
    def headed_sections(self) -> list[tuple[Section, bool]]:
        """Each section, and whether its columns differ from those of the one before."""
        before = (None, *(section.groups for section in self.sections))
        return [(s, s.groups != groups) for groups, s in zip(before, self.sections, strict=False)]


@dataclass
class Footnotes:
    """Letters for reasons; the same reason gets the same letter."""

    _letters: dict[str, str] = field(default_factory=dict)

    def mark(self, text: str) -> str:
        """Return the letter of ``text``, which is printed with a full stop behind it."""
        return self._letters.setdefault(text.rstrip(". "), _letter(len(self._letters)))

    def listed(self) -> tuple[tuple[str, str], ...]:
        """Return (letter, text) of every reason so far."""
        return tuple((letter, text) for text, letter in self._letters.items())


def _letter(index: int) -> str:
    """Return a, b, ..., z, aa, ab, ... for 0, 1, ..."""
    prefix = "" if index < 26 else _letter(index // 26 - 1)
    return prefix + chr(ord("a") + index % 26)
