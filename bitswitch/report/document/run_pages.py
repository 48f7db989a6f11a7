"""A page for each job that ended: what it is, what it found, its curves, what made it, its log."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from bitswitch.report.analysis import health
from bitswitch.report.collect.frames import Frames
from bitswitch.report.collect.headline import label
from bitswitch.report.document import job_grids as grids
from bitswitch.report.document import job_lists
from bitswitch.report.document.job_page import JobPage
from bitswitch.report.figures import chart
from bitswitch.report.figures.chart import Chart
from bitswitch.report.render import page
from bitswitch.results.files import write_bytes
from bitswitch.spec import yaml_text
from bitswitch.types import Strict

FOLDER = "runs"
"""Beside the report."""

NEEDED = (
    *("curves", "scores", "policy_layers", "storage", "rounding", "needs"),
    *("sensitivities", "policies", "deployments"),
)
"""Tables that pages read besides those of the report."""

LAST = 60
"""Lines of a log that are shown."""

HIDDEN = ("run", "diagnosis", "negative_share", "data_stamp", *health.PROVENANCE.values())
"""Columns of ``runs.csv`` that are shown elsewhere on the page, or under another title."""

CODE = {"code": "code_hash"}
"""Provenance of scores and searches that is collected, title to column."""


def write(frames: Frames, folder: Path) -> list[Path]:
    """Write ``runs/<job>.html`` below ``folder``, and remove those of jobs that are no more.

    Args:
        frames: With ``metrics``, ``runs``, ``tasks`` and ``NEEDED``.
        folder: ``results/<suite>``, or a folder in it.
    """
    paths = []
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    for one in _Pages(frames, folder):
        text = page.document(
            "run.html.j2", scripts=page.OF_RUNS, suite=frames.suite, job=one, sizes=chart
        )
        paths.append(folder / FOLDER / f"{one.name}.html")
        write_bytes(paths[-1], text.encode())
    for old in set((folder / FOLDER).glob("*.html")).difference(paths):
        old.unlink()
    return paths


class _Pages:
    """The pages of a suite; tables are split by job once."""

    def __init__(self, frames: Frames, folder: Path) -> None:
        self.frames = frames
        self.results = folder.resolve().parents[:2]
        """Where logs may lie, seen from the report or from one that is made as jobs end."""
        measured = frames.reproduced
        self._measured = _split(measured[measured.search.isna()], "run")
        self._tested = _split(measured, "search")
        self._deployed = _split(frames.deployments, "run")
        self._curves = _split(frames.curves, "run")
        self._scores = _split(frames.scores, "sensitivity")
        self._layers = _split(frames.policy_layers, "search")
        self._storage = _split(frames.storage, "run")
        self._rounding = _split(frames.rounding, "run")
        self._ended = set(job_lists.ended(frames))
        self._needs = {job: list(rows.needs) for job, rows in frames.needs.groupby("job")}

    def __iter__(self) -> Iterator[JobPage]:
        """Yield the page of every job that ended: runs, scored networks and searches."""
        lines = {line.run: line for line in health.lines(self.frames)}
        for _, row in self.frames.runs.iterrows():
            if row["run"] in self.frames.ended:
                yield self._run(row, lines[row["run"]])
        scored = self.frames.sensitivities
        for _, row in scored[scored.status != "missing"].iterrows():
            yield self._scored(row)
        for search, rows in self.frames.policies.groupby("search", sort=False):
            if (rows.status != "missing").any():
                yield self._searched(str(search), rows)

    def _run(self, row: "pd.Series[Any]", line: health.RunLine) -> JobPage:
        """Return the page of a run, its deployment on it."""
        run = line.run
        found = [grids.measured(self._measured.get(run), "On the test split", " bits")]
        logs = [self._log("runs", run)]
        if (deployed := self._deployed.get(run)) is not None:
            found += grids.deployment(deployed, self._storage.get(run), self._rounding.get(run))
            logs.append(self._log("deployments", run))
        return JobPage(
            name=run,
            status=line.status,
            lead=" · ".join(filter(None, (line.bitset, row["data_stamp"], line.diagnosis))),
            grids=tuple(filter(None, found)),
            charts=tuple(self._charts(run)),
            facts=(*grids.facts(row, HIDDEN), *health.provenance_of(row)),
            needs=self._needed(run),
            spec=_spec(self.frames.suite.runs[run]),
            logs=tuple(filter(None, logs)),
        )

    def _scored(self, row: "pd.Series[Any]") -> JobPage:
        """Return the page of a sensitivity."""
        name = str(row["sensitivity"])
        hidden = ("sensitivity", "status", "diagnosis", "facts", *CODE.values())
        return JobPage(
            name=name,
            status=str(row["status"]),
            lead=" · ".join(filter(None, (f"scores by {row['plugin']}", _said(row["diagnosis"])))),
            grids=tuple(filter(None, [grids.scores(self._scores.get(name))])),
            facts=(
                *grids.facts(row, hidden),
                *grids.own(row["facts"]),
                *grids.facts(row[list(CODE.values())]),
            ),
            needs=self._needed(name),
            spec=_spec(self.frames.suite.sensitivities[name]),
            logs=tuple(filter(None, [self._log("sensitivities", name)])),
        )

    def _searched(self, name: str, rows: pd.DataFrame) -> JobPage:
        """Return the page of a search: all of its budgets."""
        first = rows.iloc[0]
        status, reasons = job_lists.outcome(rows)
        found = [
            grids.measured(self._tested.get(name), "On the test split"),
            grids.budgets(rows),
            grids.layers(self._layers.get(name)),
        ]
        return JobPage(
            name=name,
            status=status,
            lead=" · ".join((f"search by {first['plugin']}", *reasons)),
            grids=tuple(filter(None, found)),
            facts=tuple(grids.facts(first[list(grids.OF_SEARCH)])),
            needs=self._needed(name),
            spec=_spec(self.frames.suite.searches[name]),
            logs=tuple(filter(None, [self._log("searches", name)])),
        )

    def _needed(self, job: str) -> tuple[str, ...]:
        """Return what a job needed, of which there is a page."""
        needed = map(str, self._needs.get(job, ()))
        return tuple(one for one in dict.fromkeys(needed) if one in self._ended)

    def _charts(self, run: str) -> Iterator[Chart]:
        """Yield curves by bit-width over epochs: on held-out examples, and in training."""
        rows = self._curves.get(run, self.frames.curves.iloc[:0])
        headline = self.frames.headline_of.get(run)
        quality = label(headline.metric) if headline else "headline"
        shown = (("held_out_headline", f"held-out {quality}"), ("loss", "training loss"))
        for column, title in shown:
            told = rows.dropna(subset=[column, "bits"])
            curves = {
                int(str(bits)): [
                    (int(e) + 1, float(v)) for e, v in zip(one.epoch, one[column], strict=True)
                ]
                for bits, one in told.groupby("bits")
            }
            if drawn := chart.chart(title, curves):
                yield drawn

    def _log(self, kind: str, job: str) -> tuple[str, str]:
        """Return where the log of a job lies below ``results``, and its last lines.

        Nothing where it was made elsewhere.
        """
        place = f"{kind}/{job}/log"
        for results in self.results:
            path = results / place
            if path.is_file():
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                return f"results/{place}", "\n".join(lines[-LAST:])
        return f"results/{place}", ""


def _split(table: pd.DataFrame, column: str) -> dict[str, pd.DataFrame]:
    """Return the rows of every job."""
    return {str(job): rows for job, rows in table.groupby(column, sort=False)}


def _spec(spec: Strict) -> str:
    return yaml_text.dump(spec.model_dump(mode="json", by_alias=True))


def _said(text: object) -> str:
    """Return a text that a table may lack."""
    return text if isinstance(text, str) else ""
