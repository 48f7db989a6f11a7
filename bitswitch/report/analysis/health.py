"""How the runs of a suite went, and what made them."""

import json
from collections import Counter
from typing import Any, NamedTuple

import pandas as pd

from bitswitch.report.collect.frames import Frames
from bitswitch.text import duration

PROVENANCE = {
    "bitswitch": "bitswitch_version",
    "commit": "commit",
    "code": "code_hash",
    "python": "python",
    "torch": "torch",
    "torchvision": "torchvision",
    "device": "device_name",
    "instructions": "instructions",
    "threads": "threads",
    "platform": "platform",
}
"""Title to column of ``runs.csv``."""


MISSING = "not run to the end"
"""In place of a diagnosis."""

SHOWN = 5
"""Jobs that are not done, of one kind, by name."""


class RunLine(NamedTuple):
    """One run, as text."""

    run: str
    status: str
    diagnosis: str
    bitset: str
    alrs: str = ""
    """Variant, nothing where there is none; this and all below is of a run that ended."""
    epochs: str = ""
    train: str = ""
    memory: str = ""
    negative: str = ""
    """Share of steps with a negative learning rate of the scales, at the worst bit-width."""
    reflections: str = ""
    """How often a scale crossed zero and was mirrored."""


class Fact(NamedTuple):
    """A thing to know about a suite."""

    title: str
    text: str


def summary(frames: Frames) -> list[Fact]:
    """Return what became of the suite's runs, and what they cost."""
    runs = frames.runs
    facts = rehearsed(frames) if frames.suite.data == "made-up" else _counts(frames)
    if failed := _at_chance(frames.reproduced):
        measures = dict.fromkeys(one.measure for one in frames.headlines.values())
        facts.append(Fact(f"test {' or '.join(measures)} no better than guessing", failed))
    for kind, group in runs.groupby("time_kind"):
        clock = "CPU time" if kind == "cpu" else "wall-clock time"
        facts.append(Fact(f"training, {clock}", duration(group.train_time_s.sum())))
    if (versions := runs.code_hash.nunique()) > 1:
        facts.append(Fact("code", f"{versions} versions: not all runs were made by the same code"))
    if len(frames.repeats):
        facts.append(Fact("done again, with other numbers", _repeats(frames.repeats)))
    measured = runs[runs.wall_time_s.notna()]
    if len(measured):
        counted = measured[["train_time_s", "evaluate_time_s", "other_time_s"]].sum()
        other = counted.other_time_s / max(counted.sum(), 1e-9)
        facts.append(Fact("outside training and evaluation", f"{100 * other:.0f} % of the time"))
        facts.append(Fact("peak memory of a run", memory(measured.peak_memory_mib.max())))
    return facts


def _counts(frames: Frames) -> list[Fact]:
    """Return how many runs, scored networks and sub-nets there are, and what became of them."""
    facts = [Fact("runs", _states(frames.runs.status))]
    if len(frames.sensitivities):
        facts.append(Fact("scored networks", _states(frames.sensitivities.status)))
    if len(frames.policies):
        facts.append(Fact("sub-nets, one per search and budget", _states(frames.policies.status)))
    return facts


def rehearsed(frames: Frames) -> list[Fact]:
    """Return what was done of every kind of job: how many, in what time and memory, what failed."""
    policies = frames.policies.assign(
        wall_time_s=frames.policies[["search_time_s", "retraining_time_s"]].sum(axis=1)
    )
    kinds = [
        *((f"training of {model}", jobs) for model, jobs in frames.runs.groupby("model")),
        *((f"scores by {name}", jobs) for name, jobs in frames.sensitivities.groupby("plugin")),
        *((f"sub-nets by {name}", jobs) for name, jobs in policies.groupby("plugin")),
        ("deployments", frames.deployments.drop_duplicates("run")),
    ]
    return [Fact(title, _done(jobs)) for title, jobs in kinds if len(jobs)]


def _done(jobs: pd.DataFrame) -> str:
    """Return how many of ``jobs`` are done, what they took, and which failed, by first column."""
    ended = jobs[jobs.status != "missing"]
    parts = [f"{len(ended)} of {len(jobs)} done"]
    if "wall_time_s" in jobs and len(ended):
        times = ended.wall_time_s
        parts.append(f"in {duration(times.sum())}, the longest in {duration(times.max())}")
    if "peak_memory_mib" in jobs and len(ended):
        parts.append(f"at most {memory(ended.peak_memory_mib.max())}")
    bad = jobs[~jobs.status.isin(["complete", "collapsed"])]
    lost = [f"{name} {status}" for name, status in zip(bad.iloc[:, 0], bad.status, strict=True)]
    more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
    return ", ".join(parts) + (f"; {', '.join(lost[:SHOWN])}{more}" if lost else "")


def _at_chance(metrics: pd.DataFrame) -> str:
    """Return how many measured headlines are those of guessing; nothing if none is."""
    rows = metrics[(metrics.split == "test") & (metrics.role != "") & metrics.value.notna()]
    places = ["run", "search", "policy", "metric"]
    rows = rows.drop_duplicates(places)
    failed = int((rows.status == "collapsed").sum())
    return f"{failed} of {len(rows)} on test splits, none of them in a mean" if failed else ""


def _repeats(rows: pd.DataFrame) -> str:
    """Return which jobs packs of several machines have with different numbers."""
    jobs = rows.drop_duplicates("job")
    listed = "; ".join(f"{row.job} ({row.file}, line {row.line})" for row in jobs.itertuples())
    return f"{len(jobs)} jobs, of which tables show the first of each: {listed}"


def _states(statuses: "pd.Series[str]") -> str:
    """Return how many there are, and what became of them."""
    counts = Counter(statuses)
    order = ("complete", "collapsed", "diverged", "infeasible", "missing")
    listed = ", ".join(f"{counts[status]} {status}" for status in order if counts[status])
    return f"{len(statuses)}: {listed}"


def provenance(frames: Frames) -> list[Fact]:
    """Return what made the runs; several values mean that not all runs had the same."""
    runs = frames.runs
    facts = [Fact(title, _distinct(runs[column])) for title, column in PROVENANCE.items()]
    times = pd.concat([runs.started, runs.finished]).dropna().astype(str)
    if len(times):
        facts.append(Fact("from, to", f"{times.min()}, {times.max()}"))
    return [fact for fact in facts if fact.text]


def provenance_of(row: "pd.Series[Any]") -> list[Fact]:
    """Return what made one run, a row of ``runs.csv``."""
    facts = [(title, row[column]) for title, column in PROVENANCE.items()]
    return [Fact(title, str(value)) for title, value in facts if value == value and value]


def lines(frames: Frames) -> list[RunLine]:
    """Return every run, those that went wrong first."""
    found = [_line(row) for _, row in frames.runs.iterrows()]
    return sorted(found, key=lambda line: line.status == "complete")


def problems(frames: Frames) -> list[RunLine]:
    """Return the runs that are not complete."""
    return [line for line in lines(frames) if line.status != "complete"]


def _line(row: "pd.Series[Any]") -> RunLine:
    """Return one row of ``runs.csv`` as text."""
    blank = row.astype(object).where(row.notna(), None)
    missing = blank["status"] == "missing"
    line = RunLine(
        run=blank["run"],
        status=blank["status"],
        diagnosis=MISSING if missing else blank["diagnosis"] or "",
        bitset=blank["bitset"],
    )
    return line if missing else line._replace(**_measured(blank))


def _measured(blank: "pd.Series[Any]") -> dict[str, str]:
    """Return what only a run that ended can say."""
    shares = json.loads(blank["negative_share"] or "{}")
    worst = f"{100 * max(shares.values()):.0f} %" if shares else ""
    return {
        "alrs": blank["alrs"] or "",
        "epochs": str(blank["epochs"]),
        "train": duration(blank["train_time_s"]),
        "memory": memory(blank["peak_memory_mib"]),
        "negative": worst,
        "reflections": str(int(blank["reflections"] or 0) or ""),
    }


def memory(mib: float | None) -> str:
    """Return an amount of memory.

    >>> memory(640.0), memory(2048.0)
    ('640 MiB', '2.0 GiB')
    """
    if mib is None or mib != mib:
        return ""
    return f"{mib:.0f} MiB" if mib < 1024 else f"{mib / 1024:.1f} GiB"


def _distinct(column: "pd.Series[Any]") -> str:
    """Return the different values of a column."""
    values = column.dropna().map(lambda v: int(v) if isinstance(v, float) else v)
    return ", ".join(dict.fromkeys(map(str, values)))
