"""The first page of a report: what became of every claim."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import Markup

from bitswitch.report.analysis.origin import stamp
from bitswitch.report.claims import scorecard as claims
from bitswitch.report.claims.evidence import ALLOWED, EXCEPTIONS, TIMES
from bitswitch.report.claims.scorecard import ClaimRow
from bitswitch.report.claims.vocabulary import EMBEDDED, MEANINGS, NO_EVIDENCE
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render import behind, latex, page
from bitswitch.report.render.scorecard import Group, Link, Row, Scorecard, style
from bitswitch.report.render.table import Footnotes, anchor
from bitswitch.report.statistics import VERDICTS
from bitswitch.report.tables import entries, tables
from bitswitch.results.files import write_bytes
from bitswitch.suite.suite import Suite

PAGE, SECTION, CLAIMS, RUNS = "scorecard.html", "scorecard.tex", "claims.tex", "claim_runs.tex"

OUTPUTS = (claims.NAME, PAGE, SECTION, CLAIMS, RUNS)
"""Files that ``write`` makes in ``results/<suite>/``."""

KINDS = {
    "margin": "One exceeds another by so much",
    "direction": "One is better, or worse",
    "equivalence": "There is no difference that matters",
    "magnitude": "One is so many times as large",
    "cost": "Time",
    "exactness": "Nothing differs",
}
"""Titles of groups, in their order."""

SEEN = ("as claimed", "against the claim")

NOT_RUN = "not run"

UNSIGNED = (TIMES.unit, ALLOWED.unit, EXCEPTIONS.unit)
"""What is no difference."""

NUMBER = re.compile(r" \(([^()]+ = [^()]+)\)")
"""What a reason says of its claim alone."""


def write(frames: Frames, folder: Path, called: str | None = None) -> list[Path]:
    """Write ``OUTPUTS`` below ``folder``; return their paths.

    Args:
        frames: All collected tables.
        folder: ``results/<suite>``.
        called: What commands call the suite, a path say; None: its name.
    """
    rows = claims.scorecard(frames, suite=called)
    card = build(rows, frames)
    texts = (claims.table(rows).to_csv(index=False), as_html(card), *as_latex(card))
    for name, text in zip(OUTPUTS, texts, strict=True):
        write_bytes(folder / name, text.encode())
    return [folder / name for name in OUTPUTS]


def as_html(card: Scorecard) -> str:
    """Return a scorecard as a section of a page."""
    runs = dict.fromkeys(name for row in card.rows for name in row.runs)
    numbers = {name: number for number, name in enumerate(runs)}
    return page.render(
        "scorecard/scorecard.html.j2",
        card=card,
        style=style,
        runs=behind.coded(runs),
        numbered=lambda some: behind.spans(map(numbers.__getitem__, some)),
    )


def as_latex(card: Scorecard) -> list[str]:
    """Return sections of a document: how many claims have each verdict, claims, and their runs."""
    names = ("scorecard", "claims", "runs")
    return [latex.render(f"scorecard/{name}.tex.j2", card=card, macro=_macro) for name in names]


def _macro(verdict: str) -> Markup:
    return Markup(rf"\bs{style(verdict)}")


def build(rows: Sequence[ClaimRow], frames: Frames) -> Scorecard:
    """Return the scorecard of all claims about a suite."""
    builder = _Builder(rows, frames.suite)
    measured = [row for row in rows if row.verdict != NOT_RUN]
    groups = [
        Group(title, tuple(builder.row(row) for row in measured if row.kind == kind))
        for kind, title in KINDS.items()
    ]
    missing = builder.missing([row for row in rows if row.verdict == NOT_RUN])
    return Scorecard(
        stamp(frames, frames.data_of(run for row in rows for run in row.runs)),
        tuple(group for group in (*groups, *missing) if group.rows),
        builder.footnotes.listed(),
        _meanings(rows, frames.suite),
    )


def _meanings(rows: Sequence[ClaimRow], suite: Suite) -> dict[str, str]:
    """Return what each verdict means that can be given."""
    verdicts = {str(verdict): meaning for verdict, meaning in VERDICTS.items()}
    if suite.data not in NO_EVIDENCE:
        return verdicts
    verdict = NO_EVIDENCE[suite.data]
    seen = Counter(row.found for row in rows if row.verdict == EMBEDDED)
    told = ", ".join(f"{seen[one]} {one}" for one in SEEN if seen[one])
    found = f" Found: {told}." if told else ""
    return {verdict: f"{MEANINGS[verdict]}{found}", **verdicts}


class _Builder:
    """Turns claims into text."""

    def __init__(self, rows: Sequence[ClaimRow], suite: Suite) -> None:
        self.suite = suite
        self.footnotes = Footnotes()
        self._names = dict(zip(suite.experiments, tables.names(suite), strict=True))
        self._shared = Counter(one for row in rows for one, _ in _reasons(row))

    def row(self, row: ClaimRow) -> Row:
        """Return one claim."""
        reasons = _reasons(row)
        own = [one for reason in reasons for one in self._own(*reason)]
        by_table = {link.table: link for link in map(self._cell, reversed(row.cells))}
        return Row(
            row.id,
            row.statement,
            row.source,
            row.verdict,
            found=row.found if row.verdict == EMBEDDED else "",
            why=tuple(own),
            marks=tuple(self.footnotes.mark(one) for one, _ in reasons if self._is_shared(one)),
            printed=row.claimed,
            reproduced=_estimate(row),
            interval=_interval(row),
            tables=tuple(reversed(by_table.values())),
            runs=row.runs,
            command=row.command or "",
            cost=row.cost,
        )

    def _own(self, reason: str, number: str) -> list[str]:
        """Return what stands beside a verdict of a reason."""
        if self._is_shared(reason):
            return [number] if number else []
        return [f"{reason} ({number})" if number else reason]

    def _is_shared(self, reason: str) -> bool:
        return self._shared[reason] > 1

    def _cell(self, cell: str) -> Link:
        """Return where a cell is shown: by itself, or in a table that shows no cells of runs."""
        experiment, *place = cell.split("/", 4)
        recipe, table = self.suite.experiments[experiment], self._names[experiment]
        return Link(
            anchor(experiment, *place) if tables.kind_of(recipe).names_cells else table,
            table,
            recipe.title.partition(":")[0],
        )

    def missing(self, rows: Sequence[ClaimRow]) -> Iterator[Group]:
        """Yield the claims that were not run, those of one reason and one command together."""
        groups: dict[tuple[str, str], list[ClaimRow]] = {}
        for row in rows:
            stem = (row.command or "").removesuffix(row.id)
            groups.setdefault((row.why, stem), []).append(row)
        for (why, stem), group in groups.items():
            shown = tuple(
                Row(
                    one.id,
                    one.statement,
                    one.source,
                    NOT_RUN,
                    printed=one.claimed,
                    cost=one.cost,
                )
                for one in group
            )
            command = stem + ",".join(one.id for one in group) if stem else ""
            yield Group(f"Not run: {why}", shown, command)


def _reasons(row: ClaimRow) -> list[tuple[str, str]]:
    """Return why a claim has its verdict: reasons, each with its number or nothing."""
    unlike = [] if row.like_for_like == "yes" else [f"not like for like: {row.like_for_like}"]
    known = dict.fromkeys([*filter(None, row.why.split("; ")), *unlike])
    return [_split(reason) for reason in known if reason not in NO_EVIDENCE.values()]


def _split(reason: str) -> tuple[str, str]:
    """Return a reason without its number, and the number.

    >>> _split("they differ (p = 0.01), which says little")
    ('they differ, which says little', 'p = 0.01')
    """
    found = NUMBER.search(reason)
    return (NUMBER.sub("", reason), found[1]) if found else (reason, "")


def _estimate(row: ClaimRow) -> str:
    return "" if row.estimate is None else f"{_number(row.estimate, row.unit)} {row.unit}"


def _interval(row: ClaimRow) -> str:
    """Return the interval over seeds, as far as there is one, and their number."""
    seeds = f"({row.seeds})" if row.seeds else ""
    if row.low is None or row.high is None:
        return seeds
    return f"[{_number(row.low, row.unit)}, {_number(row.high, row.unit)}] {seeds}".strip()


def _number(value: float, unit: str) -> str:
    """Return a measured number.

    >>> _number(2.704, "points"), _number(152.4, "times"), _number(0.0, "exceptions")
    ('+2.70', '152', '0')
    """
    if unit in UNSIGNED:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return entries.signed(value, digits=2 if abs(value) < 1000 else 0)
