"""Rows of a table as a page needs them: with what they are sorted and filtered by."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from bitswitch.report.render.table import DASH, Entry, Line, Section

UNITS = {
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "KiB": 2.0**-10,
    "MiB": 1.0,
    "GiB": 2.0**10,
}
"""What stands behind numbers of one column that are to be sorted by size."""

_NUMBER = re.compile(r"<?\s*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([A-Za-z]*)")
_BITS = re.compile(r"^w?(\d+)(?:a\d+|MP| bits| alone)?$")


@dataclass(frozen=True)
class Row:
    """A line with what a page needs to sort and to filter it."""

    line: Line
    label: str
    """Of the line itself, or of the one above that it says more of."""
    is_first: bool
    """Whether it bears the label."""
    keys: tuple[str, ...] | None
    """What it is sorted by, per column after the labels; None: by that of the row above, with which
    it stays together."""
    is_run: bool
    """Whether any of the rows that stay together shows what this suite ran."""


def key(text: str) -> str:
    """Return what a cell is sorted by: its number if it starts with one, nothing for a dash.

    >>> key("\N{MINUS SIGN}0.30"), key("2.0 GiB"), key("71 / 27"), key("equal"), key(DASH)
    ('-0.3', '2048.0', '71.0', 'equal', '')
    """
    plain = text.replace("\N{MINUS SIGN}", "-").strip()
    if plain.startswith(DASH):
        return ""
    found = _NUMBER.match(plain)
    return str(float(found[1]) * UNITS.get(found[2], 1.0)) if found else plain


def bits(title: str) -> str:
    """Return the bit-width that a column or a row is about, or nothing.

    >>> bits("w8a8"), bits("3.5 MP"), bits("w4 alone"), bits("2 bits"), bits("FP")
    ('8', '', '4', '2', '')
    """
    found = _BITS.match(title)
    return found[1] if found else ""


def rows(section: Section) -> Iterator[Row]:
    """Yield the rows of a section."""
    labels, label = [], ""
    for line in section.lines:
        label = line.label or label
        labels.append(label)
    starts = [bool(line.label) or at == 0 for at, line in enumerate(section.lines)]
    units = [sum(starts[: at + 1]) if section.is_grouped else at for at in range(len(starts))]
    for _, found in groupby(range(len(units)), key=units.__getitem__):
        together = list(found)
        lines = [section.lines[at] for at in together]
        keys, is_run = _keys(lines, section.width), any(map(_is_run, lines))
        for at, line in zip(together, lines, strict=True):
            own = keys if at == together[0] else None
            yield Row(line, labels[at], starts[at], own, is_run)


def _is_run(line: Line) -> bool:
    """Return whether a line shows what this suite ran, be it a failure."""
    return any(
        entry.detail is not None or (entry.tone == "plain" and entry.text not in ("", DASH))
        for entry in line.entries
    )


def _keys(lines: Sequence[Line], width: int) -> tuple[str, ...]:
    """Return what lines that stay together are sorted by: what was measured, else what is there."""
    columns = list(zip(*(_spread(line.entries, width) for line in lines), strict=True))
    return tuple(_first(column) for column in columns)


def _spread(entries: Sequence[Entry], width: int) -> list[Entry]:
    """Return one entry per column."""
    found = [one for entry in entries for one in (entry, *(Entry(),) * (entry.span - 1))]
    return (found + [Entry()] * width)[:width]


def _first(column: Sequence[Entry]) -> str:
    """Return the key of the first measured entry of a column, or of the first that has one."""
    measured = [entry for entry in column if entry.tone == "plain"]
    for entry in (*measured, *column):
        if entry.tone != "note" and (found := key(entry.text)):
            return found
    return ""
