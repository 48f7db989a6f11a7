"""Which jobs come first: those of the first tables, then those for which most others wait.

Nothing is measured: whether a job is urgent depends on what it costs beside the others, which
operations and passes say well enough, and the order is there before any job starts.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import NamedTuple

from bitswitch.planning.estimates import (
    Clock,
    Cost,
    PassTimes,
    estimate_deployment,
    estimate_search,
    estimate_sensitivity,
    estimate_training,
)
from bitswitch.planning.networks import network_size
from bitswitch.planning.schedule import remaining, waiting
from bitswitch.spec.run import RunSpec
from bitswitch.suite.parts import cells_at
from bitswitch.suite.suite import Cell, Suite

FLOPS = 2e10
"""Operations per second of one core in a training pass of a small network."""
LAYER_S = 1e-3
"""Of a training pass, for every layer, whatever its size."""
RULES = {
    "runs": "train",
    "sensitivities": "score",
    "searches": "search",
    "deployments": "deploy",
}
"""Which make what lies in each folder of results."""
PREPARATION_S = 5.0
"""Of a dataset."""


@dataclass(frozen=True)
class Rough(Clock):
    """Knows roughly how long passes take: by operations and layers."""

    def times(self, run: RunSpec) -> tuple[PassTimes, PassTimes]:
        """Return the times of a small processor, twice."""
        size = network_size(run)
        one = LAYER_S * size["layers"] + size["train_flops"] * run.training.batch_size / FLOPS
        return PassTimes(one, one), PassTimes(one, one)

    def passes(self, run: RunSpec) -> float:
        """Return one per bit-width, without asking the method."""
        return float(len(run.bitset))


class _Times(NamedTuple):
    """Seconds by what jobs make: runs, sensitivities, searches, deployments."""

    runs: dict[str, float]
    sensitivities: dict[str, float]
    searches: dict[str, float]
    deployments: dict[str, float]


def priorities(suite: Suite, first: str = "") -> dict[str, int]:
    """Return how urgent jobs are, the most urgent one by the highest number.

    Those that ``first`` needs come before all others. Else a job is the more urgent the longer it
    takes until the last one is done that waits for it, so that no long chain is left for the end.

    Args:
        suite: Whose jobs are ordered.
        first: Paths of cells, as in ``bitswitch.suite.parts``.

    Returns:
        By a rule and what its job makes: ``train double-rounding-resnet8-...``, ``prepare digits``.
    """
    left = remaining(waiting(suite, *_times(suite)))
    last = max(left.values(), default=0.0)
    early = _needed_by(cells_at(suite, first))
    urgent = {name: time_s + last * (name in early) for name, time_s in left.items()}
    for key, run in suite.runs.items():
        prepare = f"prepare {run.dataset.identifier}"
        waited = urgent[f"train {key}"] + PREPARATION_S
        urgent[prepare] = max(urgent.get(prepare, 0.0), waited)
    return {name: round(10 * time_s) for name, time_s in urgent.items()}


def _needed_by(cells: Iterable[Cell]) -> set[str]:
    """Return the jobs that fill ``cells``."""
    return {f"{RULES[kind]} {name}" for cell in cells for kind, name in cell.jobs}


class _Asked(NamedTuple):
    """A job of a cell, and how to find out what it costs."""

    times: dict[str, float]
    """Of jobs of its kind."""
    key: str
    ask: Callable[[], Cost]


def _times(suite: Suite) -> _Times:
    """Return how long jobs take, roughly; every seed of a row takes as long as its first one."""
    made = _Times({}, {}, {}, {})
    for first, *others in _places(suite):
        asked = list(_asked(first, made))
        for one in asked:
            if one.key not in one.times:
                one.times[one.key] = one.ask().time_s
        for cell in others:
            for like, one in zip(asked, _asked(cell, made), strict=True):
                one.times[one.key] = like.times[like.key]
    return made


def _places(suite: Suite) -> Iterator[tuple[Cell, ...]]:
    """Yield the cells of all seeds in one place of a row, the first seed's first."""
    for _, row in groupby(suite.run_cells, key=lambda cell: cell[: Cell._fields.index("seed")]):
        seeds = [list(cells) for _, cells in groupby(row, key=lambda cell: cell.seed)]
        yield from zip(*seeds, strict=True)


def _asked(cell: Cell, made: _Times) -> Iterator[_Asked]:
    """Yield the jobs of a cell, each at the same place for every seed."""
    clock = Rough()
    for run in cell.runs:
        yield _Asked(made.runs, run.run_id, partial(estimate_training, run, clock))
    for one in cell.sensitivities:
        ask = partial(estimate_sensitivity, one, clock)
        yield _Asked(made.sensitivities, one.identifier, ask)
    if cell.search:
        ask = partial(estimate_search, cell.search, clock)
        yield _Asked(made.searches, cell.search.identifier, ask)
    if cell.deploy:
        ask = partial(estimate_deployment, cell.run, clock)
        yield _Asked(made.deployments, cell.run.run_id, ask)
