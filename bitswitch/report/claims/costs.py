"""What it takes to run what a claim still needs."""

from functools import cache
from typing import NamedTuple

import pandas as pd

from bitswitch.report.claims.needs import restricted
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.assets import asset
from bitswitch.report.statistics import TIMED, fewest_seeds
from bitswitch.suite.claims import ClaimSpec
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


def remaining(name: str, claim: ClaimSpec, suite: Suite, ended: Ended) -> str:
    """Return what of the jobs that a claim needs in ``suite`` has not ended.

    Args:
        name: Of the claim.
        claim: What is said.
        suite: That has cells for it.
        ended: Its jobs that need not be run.
    """
    part = restricted(suite, name)
    waiting = {
        kind: [job for key, job in getattr(part, kind).items() if key not in getattr(ended, kind)]
        for kind in KINDS
    }
    told = [_counted(len(jobs), KINDS[kind]) for kind, jobs in waiting.items() if jobs]
    if waiting["runs"]:
        epochs = sum(run.training.epochs for run in waiting["runs"])
        told[0] += f" of {epochs:,} epochs in all"
    known = _table().get((suite.name, name))
    if known and len(waiting["runs"]) == known.runs:
        told.append(_hours(known.gpu_hours))
    return "; ".join(filter(None, (", ".join(told), _too_few(claim, trained(part)))))


def elsewhere(name: str, claim: ClaimSpec, suite: str | None) -> str:
    """Return what a claim takes in another suite, one that comes with the package."""
    known = _table().get((suite or "", name))
    if known is None:
        return ""
    runs = _counted(known.runs, "run") if known.runs else ""
    told = ", ".join(filter(None, (runs, _hours(known.gpu_hours))))
    return "; ".join(filter(None, (told, _too_few(claim, known.seeds))))


def trained(part: Suite) -> int:
    """Return how many trainings a claim is judged by, those of all networks."""
    return len({(cell.network, cell.seed) for cell in part.cells})


def _too_few(claim: ClaimSpec, seeds: int) -> str:
    """Return that a verdict needs more seeds, if it does."""
    needed = {"cost": TIMED, "exactness": 1}.get(claim.kind, fewest_seeds())
    return (
        ""
        if seeds >= needed
        else f"{_counted(seeds, 'seed')}, a verdict on it alone needs {needed}"
    )


def _hours(hours: float) -> str:
    return f"about {hours:.0f} GPU hours" if hours >= 1 else "less than a GPU hour"


def _counted(count: int, job: str) -> str:
    plural = f"{job}es" if job.endswith("ch") else f"{job}s"
    return f"{count} {job if count == 1 else plural}"


class _Known(NamedTuple):
    """A row of ``FILE``."""

    seeds: int
    runs: int
    gpu_hours: float


@cache
def _table() -> dict[tuple[str, str], _Known]:
    """Return what is known by suite and claim."""
    rows = pd.read_csv(asset(*FILE)).set_index(["suite", "claim"])
    return {key: _Known(*row) for key, row in zip(rows.index, rows.itertuples(False), strict=True)}
