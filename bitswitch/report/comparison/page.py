"""A comparison as a page of its own."""

from pathlib import Path

from markupsafe import Markup

from bitswitch.report.comparison import text
from bitswitch.report.comparison.comparison import MEANINGS, Comparison, Difference, Outcome
from bitswitch.report.render import page
from bitswitch.report.render.table import Entry, Group, Line, Section, Table
from bitswitch.results.files import write_bytes

COLUMNS = ("left", "right", "change", "n", "p, adjusted")


def write(comparison: Comparison, sides: tuple[str, str], path: Path) -> None:
    """Write a self-contained HTML page.

    Args:
        comparison: What was found.
        sides: What left and right are called, their data included.
        path: Of the page; its folder is made.
    """
    content = page.document(
        "comparison.html.j2",
        table=Markup(page.table(table(comparison, sides))),
        left=sides[0],
        right=sides[1],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content.encode())


def table(comparison: Comparison, sides: tuple[str, str]) -> Table:
    """Return all cells that are not equal, by outcome, and how many have each."""
    outcomes = [one for one in MEANINGS if one != "equal" and comparison.of(one)]
    return Table(
        name="comparison",
        title="What differs",
        stamp=f"{sides[0]} and {sides[1]}",
        sections=tuple(_section(one, comparison.of(one)) for one in outcomes),
        notes=(
            "Change: right minus left, seeds paired; [low, high]: its 95 % confidence interval; "
            "n: seeds that both sides have.",
            *(f"{count} {one}: {MEANINGS[one]}." for one, count in comparison.counts.items()),
            *(f"Sides were {text.unlike(one)}." for one in comparison.provenance),
        ),
    )


def _section(outcome: Outcome, rows: list[Difference]) -> Section:
    return Section(
        title=outcome[0].upper() + outcome[1:],
        about=MEANINGS[outcome],
        groups=(Group("", COLUMNS),),
        lines=tuple(map(_line, rows)),
    )


def _line(row: Difference) -> Line:
    texts = (
        text.value(row, row.left),
        text.value(row, row.right),
        text.change(row),
        str(row.seeds),
        text.p_text(row),
    )
    return Line(text.name(row), row.why, tuple(map(Entry, texts)))
