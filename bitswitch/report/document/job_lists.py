"""All jobs of a suite, column by column: a page unfolds them into tables, with links."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import NamedTuple

import pandas as pd

from bitswitch.report.analysis import health
from bitswitch.report.analysis.health import MISSING, RunLine
from bitswitch.report.collect.frames import Frames, records
from bitswitch.report.render.behind import SEPARATOR, coded, repeated
from bitswitch.text import duration

Line = tuple[str, ...]

ABOUT = ("status", "what went wrong")
"""Columns of all lists, behind the name."""

RUNS = ("bit set", "ALRS", "epochs", "training", "memory", "λ < 0", "mirrored")


class JobList(NamedTuple):
    """Jobs of one kind."""

    title: str
    lines: tuple[Line, ...]
    """Names of columns first."""
    is_open: bool = False
    """Whether a reader has to see it."""

    file: str = ""
    """Where all of it stands, beside the page."""

    @property
    def packed(self) -> str:
        """One line per column, first its name: what repeats itself takes no room."""
        names, *others = zip_longest(*self.lines, fillvalue="")
        packed = [(names[0], coded(map(_plain, names[1:])))]
        packed += [(title, repeated(map(_plain, texts))) for title, *texts in others]
        return "\n".join(map(SEPARATOR.join, packed))


def lists(frames: Frames) -> list[JobList]:
    """Return runs that are not complete, those that are, scored networks and searches."""
    found = health.lines(frames)
    bad, good = (
        [line for line in found if (line.status == "complete") is is_good]
        for is_good in (False, True)
    )
    listed = [
        _list("Runs that are not complete", ("run", *ABOUT, *RUNS), map(_run, bad), "runs", True),
        _list("Complete runs", ("run", *ABOUT, *RUNS), map(_run, good), "runs"),
        _list(
            "Scored networks",
            ("sensitivity", *ABOUT, "examples", "time", "memory"),
            _scored(frames.sensitivities),
            "sensitivities",
        ),
        _list(
            "Searches",
            ("search", *ABOUT, "budgets", "search", "tuning"),
            _searched(frames.policies),
            "policies",
        ),
    ]
    return [one for one in listed if len(one.lines) > 1]


def ended(frames: Frames) -> Iterator[str]:
    """Yield the identifiers of all jobs that have a page."""
    yield from sorted(frames.ended)
    for table, column in ((frames.sensitivities, "sensitivity"), (frames.policies, "search")):
        yield from table.loc[table.status != "missing", column].drop_duplicates()


def outcome(budgets: pd.DataFrame) -> tuple[str, list[str]]:
    """Return the status of a search, that of its first budget which is not complete, and why.

    Args:
        budgets: Its rows of ``policies.csv``.
    """
    status = next((one for one in budgets.status if one != "complete"), "complete")
    return status, list(dict.fromkeys(budgets.diagnosis.dropna()))


def _list(
    what: str, columns: Line, lines: Iterable[Line], table: str, is_open: bool = False
) -> JobList:
    shown = tuple(lines)
    return JobList(f"{what}: {len(shown)}", (columns, *shown), is_open, f"{table}.csv")


def _plain(text: str) -> str:
    """Return a text in one line, without what stands between texts."""
    return " ".join(text.replace(SEPARATOR, "/").split())


def _run(line: RunLine) -> Line:
    return (
        line.run,
        line.status,
        line.diagnosis,
        line.bitset,
        line.alrs,
        line.epochs,
        line.train,
        line.memory,
        line.negative,
        line.reflections,
    )


def _scored(rows: pd.DataFrame) -> Iterator[Line]:
    """Yield a line per sensitivity."""
    for row in records(rows):
        missing = row["status"] == "missing"
        about = (row["sensitivity"], row["status"], MISSING if missing else row["diagnosis"] or "")
        if missing:
            yield about
            continue
        yield (
            *about,
            f"{row['images']:.0f}",
            duration(row["time_s"]),
            health.memory(row["peak_memory_mib"]),
        )


def _searched(rows: pd.DataFrame) -> Iterator[Line]:
    """Yield a line per search, all of its budgets in one."""
    for search, budgets in rows.groupby("search", sort=False):
        status, reasons = outcome(budgets)
        if status == "missing":
            yield (str(search), status, MISSING)
            continue
        times = (budgets[name].sum() for name in ("search_time_s", "retraining_time_s"))
        told = (duration(float(time)) if time else "" for time in times)
        yield (str(search), status, "; ".join(reasons), f"{len(budgets)}", *told)
