"""A comparison as plain text, for terminals, and as objects for JSON."""

from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any

from bitswitch.report.collect.headline import number
from bitswitch.report.comparison.comparison import (
    NO_CELL,
    NOT_RUN,
    Comparison,
    Difference,
    Disagreement,
)
from bitswitch.text import aligned

HEAD = ("cell", "left", "right", "change", "n", "p", "outcome")
SIDES = ("left", "right")

LACKS = {NO_CELL: "not in the suite", NOT_RUN: "not run"}
"""What a side without a number is said to be, where that asks for no attention."""


def listed(comparison: Comparison, everything: bool) -> str:
    """Return a line per cell that asks for attention, and how many have each outcome.

    Args:
        comparison: What was found.
        everything: Whether cells within noise are listed too, and those that one side does not have
            or has not run, which are counted else; equal ones never are.
    """
    shown = [row for row in comparison.rows if _is_listed(row, everything)]
    parts = ["\n".join(aligned([HEAD, *map(_line, shown)]))] if shown else []
    parts += [] if everything else _lacking(comparison)
    counts = ", ".join(
        f"{count} {outcome}" for outcome, count in comparison.counts.items() if count
    )
    parts += ["\n".join(map(unlike, comparison.provenance))] if comparison.provenance else []
    return "\n\n".join([*parts, counts or "no cell has a number on either side"])


def _is_listed(row: Difference, everything: bool) -> bool:
    if everything:
        return row.outcome != "equal"
    return row.outcome in ("differs", "one side only") and not _is_lacking(row)


def _is_lacking(row: Difference) -> bool:
    """Return whether one side does not have this cell, or has not run it."""
    return row.why in {f"{side}: {why}" for side in SIDES for why in LACKS}


def _lacking(comparison: Comparison) -> Iterator[str]:
    """Yield of each side which cells of the other one it lacks, counted by experiment."""
    for side, why in product(SIDES, LACKS):
        rows = [row for row in comparison.rows if row.why == f"{side}: {why}"]
        counts = Counter(row.place.experiment for row in rows)
        if counts:
            listed = ", ".join(f"{name} ({count})" for name, count in counts.items())
            yield f"{LACKS[why]} on the {side}: {listed}"


def _line(row: Difference) -> tuple[str, ...]:
    outcome = f"{row.outcome} ({row.why})" if row.why else row.outcome
    sides = (value(row, row.left), value(row, row.right))
    return (name(row), *sides, change(row), str(row.seeds), p_text(row), outcome)


def unlike(one: Disagreement) -> str:
    """Return what the two sides were made with, where it is not the same."""
    return f"not made alike: {one.title} {one.left} on the left, {one.right} on the right"


def name(row: Difference) -> str:
    """Return where a cell stands, and in how many tables more."""
    place = row.place
    more = f" (+{len(row.tables) - 1} tables)" if len(row.tables) > 1 else ""
    where = "/".join((place.experiment, place.network, place.variant, place.bitset, place.policy))
    return f"{where} {place.metric}{more}"


def value(row: Difference, mean: float | None) -> str:
    """Return the mean of one side; a dash where there is none."""
    return "-" if mean is None else number(row.metric, mean)


def change(row: Difference) -> str:
    """Return right minus left with its interval, in percent where differences are ratios."""
    if row.change is None:
        return ""
    unit = " %" if row.metric.scale == "log" else ""
    spread = ""
    if row.low is not None and row.high is not None:
        spread = f" [{_signed(row, row.low)}, {_signed(row, row.high)}]"
    return f"{_signed(row, row.change)}{spread}{unit}"


def _signed(row: Difference, amount: float) -> str:
    return f"{amount:+.{row.metric.digits}f}"


def p_text(row: Difference) -> str:
    """Return the adjusted p of a cell; nothing where none was tested."""
    return "" if row.adjusted is None else f"{row.adjusted:.2g}"


def as_json(row: Difference) -> dict[str, Any]:
    """Return one cell as plain values."""
    plain = {key: one for key, one in vars(row).items() if key not in ("place", "metric")}
    return {**row.place._asdict(), **plain, "tables": list(row.tables)}
