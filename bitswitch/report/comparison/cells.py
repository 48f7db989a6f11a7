"""The measured cells of a suite: one number per seed at one place."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitswitch.contracts.metric import Metric
from bitswitch.report.collect.frames import Frames, records


class Place(NamedTuple):
    """Where a cell stands."""

    experiment: str
    network: str
    variant: str
    bitset: str
    policy: str
    """A bit-width, or the budget of a search."""
    metric: str


class Seed(NamedTuple):
    """One training, and the search on it if there is one, which has a seed of its own."""

    training: int
    search: int | None


@dataclass(frozen=True)
class Value:
    """What one seed gave."""

    value: float | None
    """None: it gave nothing."""
    status: str
    noise: float | None
    """95 % half-width of it, from the size of the test split; None: not known."""
    job: str
    """The run or search that measured it; empty where there is none."""
    right: NDArray[np.bool_] | None
    """Whether each test example was right; None: not kept, or no such thing."""


@dataclass(frozen=True)
class Cell:
    """All seeds at one place."""

    place: Place
    metric: Metric
    data: str
    """Identifier of the dataset: other ones have other examples."""
    values: Mapping[Seed, Value]

    @property
    def content(self) -> Hashable:
        """What is the same for cells of several tables that show the same jobs."""
        jobs = frozenset((seed, one.job) for seed, one in self.values.items())
        return jobs, self.place.policy, self.place.metric


def cells(frames: Frames) -> dict[Place, Cell]:
    """Return every cell of a suite that a run or search was to fill, headlines alone."""
    rows = frames.reproduced
    rows = rows[(rows.split == "test") & (rows.role != "")]
    found: dict[Place, dict[Seed, Value]] = {}
    for row in records(rows):
        place = Place(*(str(row[name]) for name in Place._fields))
        search = None if row["search_seed"] is None else int(row["search_seed"])
        found.setdefault(place, {})[Seed(int(row["seed"]), search)] = _value(frames, row)
    networks = frames.suite.networks
    return {
        place: Cell(
            place,
            frames.headlines[place.network].metric,
            networks[place.network].dataset.identifier,
            values,
        )
        for place, values in found.items()
    }


def _value(frames: Frames, row: Mapping[str, Any]) -> Value:
    job = row["search"] or row["run"] or ""
    return Value(
        value=row["value"],
        status=row["status"],
        noise=row["noise"],
        job=job,
        right=frames.correct(job, row["policy"], row["metric"]),
    )
