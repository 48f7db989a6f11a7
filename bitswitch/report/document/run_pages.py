"""A page for each run that ended: what it is, what it found, its curves, what made it, its log."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bitswitch.report.analysis import health
from bitswitch.report.analysis.health import Fact
from bitswitch.report.collect.frames import Frames
from bitswitch.report.collect.headline import label
from bitswitch.report.figures import chart
from bitswitch.report.figures.chart import Chart
from bitswitch.report.render import page
from bitswitch.results.files import write_bytes
from bitswitch.spec import yaml_text

FOLDER = "runs"
"""Beside the report."""

NEEDED = ("curves",)
"""Tables that pages read besides those of the report."""

LAST = 60
"""Lines of a log that are shown."""

HIDDEN = ("run", "diagnosis", "negative_share", "data_stamp", *health.PROVENANCE.values())
"""Columns of ``runs.csv`` that are shown elsewhere on the page, or under another title."""


def write(frames: Frames, folder: Path) -> list[Path]:
    """Write ``runs/<run>.html`` below ``folder``, and remove those of runs that are no more.

    Args:
        frames: With ``metrics``, ``runs`` and ``curves``.
        folder: ``results/<suite>``, or a folder in it.
    """
    lines = {line.run: line for line in health.lines(frames)}
    curves = dict(iter(frames.curves.groupby("run")))
    metrics = dict(iter(frames.reproduced.groupby("run")))
    paths = []
    for _, row in frames.runs.iterrows():
        run = str(row["run"])
        if run not in frames.ended:
            continue
        text = page.document(
            "run.html.j2",
            scripts=page.OF_RUNS,
            suite=frames.suite,
            run=lines[run],
            facts=[*_facts(row), *health.provenance_of(row)],
            data=row["data_stamp"],
            measured=_measured(metrics.get(run, frames.metrics.iloc[:0])),
            charts=list(_charts(frames, run, curves.get(run, frames.curves.iloc[:0]))),
            sizes=chart,
            spec=yaml_text.dump(frames.suite.runs[run].model_dump(mode="json")),
            log=_log(folder, run),
        )
        paths.append(folder / FOLDER / f"{run}.html")
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        write_bytes(paths[-1], text.encode())
    for old in set((folder / FOLDER).glob("*.html")).difference(paths):
        old.unlink()
    return paths


def _facts(row: "pd.Series[Any]") -> list[Fact]:
    """Return what ``runs.csv`` says of a run, under the names of its columns."""
    known = row.drop(labels=[*HIDDEN]).dropna()
    return [Fact(str(name).replace("_", " "), _plain(value)) for name, value in known.items()]


def _plain(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


class Measured(NamedTuple):
    """What was measured on the test split."""

    policies: list[str]
    """Bit-widths."""
    metrics: list[tuple[str, list[str]]]
    """Names with one text per bit-width."""


def _measured(rows: pd.DataFrame) -> Measured:
    found = rows[(rows.split == "test") & rows.search.isna() & rows.value.notna()]
    places = zip(found.metric, found.policy, strict=True)
    values = {place: f"{value:.5g}" for place, value in zip(places, found.value, strict=True)}
    policies = list(dict.fromkeys(policy for _, policy in values))
    metrics = dict.fromkeys(metric for metric, _ in values)
    return Measured(
        [f"{policy} bits" for policy in policies],
        [(str(one), [values.get((one, policy), "") for policy in policies]) for one in metrics],
    )


def _charts(frames: Frames, run: str, rows: pd.DataFrame) -> Iterator[Chart]:
    """Yield curves by bit-width over epochs: on held-out examples, and in training."""
    headline = frames.headline_of.get(run)
    quality = label(headline.metric) if headline else "headline"
    for column, title in (("held_out_headline", f"held-out {quality}"), ("loss", "training loss")):
        told = rows.dropna(subset=[column, "bits"])
        curves = {
            int(str(bits)): [
                (int(e) + 1, float(v)) for e, v in zip(one.epoch, one[column], strict=True)
            ]
            for bits, one in told.groupby("bits")
        }
        if drawn := chart.chart(title, curves):
            yield drawn


def _log(folder: Path, run: str) -> str:
    """Return the last lines of the log of a run; nothing where it was made elsewhere."""
    for results in folder.resolve().parents[:2]:
        path = results / "runs" / run / "log"
        if path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            return "\n".join(lines[-LAST:])
    return ""
