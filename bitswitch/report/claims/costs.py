"""What it takes to run what a claim still needs."""

from functools import cache
from typing import NamedTuple

import pandas as pd

from bitswitch.report.claims.needs import restricted
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.assets import asset
from bitswitch.suite.suite import Suite

FILE = ("claims", "costs.csv")
"""GPU hours by suite that comes with the package, and claim, as ``bitswitch plan`` assumes them."""

KINDS = {"runs": "run", "sensitivities": "score", "searches": "search", "deployments": "export"}
"""Jobs of a suite, and what sentences call one."""


class Ended(NamedTuple):
    """The jobs that came to an end, by identifier."""

    runs: frozenset[str]
    sensitivities: frozenset[str]
    searches: frozenset[str]
    deployments: frozenset[str]

    @classmethod
    def of(cls, frames: Frames) -> "Ended":
        """Return those of a suite."""
        tables = {
            "sensitivities": frames.sensitivities.rename(columns={"sensitivity": "job"}),
            "searches": frames.policies.rename(columns={"search": "job"}),
            "deployments": frames.deployments.rename(columns={"run": "job"}),
        }
        done = {
            kind: frozenset(rows.job[rows.status != "missing"].astype(str))
            for kind, rows in tables.items()
        }
        return cls(frames.ended, **done)


def remaining(claim: str, suite: Suite, ended: Ended) -> str:
    """Return what of the jobs that a claim needs in ``suite`` has not ended.

    Args:
        claim: Its identifier.
        suite: That has cells for it.
        ended: Its jobs that need not be run.
    """
    part = restricted(suite, claim)
    waiting = {
        kind: [job for key, job in getattr(part, kind).items() if key not in getattr(ended, kind)]
        for kind in KINDS
    }
    epochs = sum(run.training.epochs for run in waiting["runs"])
    told = [_counted(len(jobs), KINDS[kind]) for kind, jobs in waiting.items() if jobs]
    if waiting["runs"]:
        told[0] += f" of {epochs:,} epochs in all"
    nothing_ended = len(waiting["runs"]) == len(part.runs)
    return ", ".join([*told, *filter(None, [_hours(claim, suite.name) if nothing_ended else ""])])


def elsewhere(claim: str, suite: str | None) -> str:
    """Return what a claim takes in another suite, one that comes with the package."""
    if suite is None or (suite, claim) not in _table():
        return ""
    runs, _ = _table()[suite, claim]
    return f"{_counted(runs, 'run')}, {_hours(claim, suite)}"


def _hours(claim: str, suite: str) -> str:
    """Return the hours of a GPU in words, where they are known."""
    if (suite, claim) not in _table():
        return ""
    hours = _table()[suite, claim][1]
    return f"about {hours:.0f} GPU hours" if hours >= 1 else "less than a GPU hour"


def _counted(count: int, job: str) -> str:
    plural = f"{job}es" if job.endswith("ch") else f"{job}s"
    return f"{count} {job if count == 1 else plural}"


@cache
def _table() -> dict[tuple[str, str], tuple[int, float]]:
    """Return runs and GPU hours by suite and claim."""
    rows = pd.read_csv(asset(*FILE))
    return {
        (str(suite), str(claim)): (int(runs), float(hours))
        for suite, claim, runs, hours in rows.itertuples(index=False)
    }
