"""Claims with their verdicts as plain text, for terminals."""

from collections import Counter
from collections.abc import Iterable, Sequence

from bitswitch.report.claims.scorecard import ClaimRow
from bitswitch.report.claims.vocabulary import MEANINGS
from bitswitch.text import aligned

HEAD = ("claim", "verdict", "found", "claimed", "measured", "statement")


def listed(rows: Sequence[ClaimRow], suite: str) -> str:
    """Return a line per claim, and how many have each verdict.

    Args:
        rows: The claims.
        suite: What the user calls the suite or pack.
    """
    lines = [HEAD, *map(_line, rows)]
    counts = Counter(row.verdict for row in rows)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    one = next((row.id for row in rows if row.verdict == "not run"), rows[0].id)
    return "\n".join(
        [*aligned(lines), "", told, f"one in full: bitswitch claims {suite} --id {one}"]
    )


def _line(row: ClaimRow) -> tuple[str, ...]:
    return (row.id, row.verdict, row.found, row.claimed, measured(row), row.statement)


def measured(row: ClaimRow) -> str:
    """Return what was measured, with its interval; nothing where nothing was."""
    if row.estimate is None:
        return ""
    found = f"{_number(row.estimate)} {row.unit}"
    if row.low is not None and row.high is not None:
        found += f" [{_number(row.low)}, {_number(row.high)}]"
    return f"{found} (n={row.seeds})"


def _bootstrap(row: ClaimRow) -> str:
    """Return the interval that the bootstrap gives; nothing where there is none."""
    if row.bca_low is None or row.bca_high is None:
        return ""
    return f"[{_number(row.bca_low)}, {_number(row.bca_high)}] (BCa)"


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def in_full(rows: Iterable[ClaimRow]) -> str:
    """Return everything about some claims, a paragraph each."""
    return "\n\n".join(_paragraph(row) for row in rows)


def _paragraph(row: ClaimRow) -> str:
    """Return everything about one claim."""
    about = {
        "claimed": row.claimed,
        "like for like": row.like_for_like,
        "measured": measured(row),
        "spread": "" if row.spread is None else f"{_number(row.spread)} {row.unit}",
        "by bootstrap": _bootstrap(row),
        "found": row.found,
        "p": "" if row.p is None else f"{row.p:.2g}, {row.adjusted:.2g} among all tested claims",
        "verdict": row.verdict,
        "which means": MEANINGS[row.verdict],
        "why": row.why,
        "cells": "\n".join(row.cells),
        "runs": "\n".join(row.runs),
        "missing": str(row.missing or ""),
        "what runs it": row.command or "",
        "which takes": row.cost,
    }
    width = max(map(len, about)) + 2
    lines = [
        f"  {name:<{width}}" + value.replace("\n", "\n" + " " * (width + 2))
        for name, value in about.items()
        if value
    ]
    return "\n".join([f"{row.id}: {row.statement} ({row.source})", *lines])
