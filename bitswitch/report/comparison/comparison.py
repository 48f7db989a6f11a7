"""Cells of two collections of results that differ, and whether beyond what noise explains."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from math import erfc, hypot, sqrt
from statistics import fmean
from typing import Literal, NamedTuple

from bitswitch.contracts.metric import Metric
from bitswitch.errors import ReportError
from bitswitch.report.analysis import health
from bitswitch.report.collect.frames import Frames
from bitswitch.report.comparison.cells import Cell, Place, Seed, Value, cells
from bitswitch.report.statistics import LEVEL, Discordance, discordant, holm, interval, student

Outcome = Literal["differs", "within noise", "equal", "one side only", "not testable"]

MEANINGS: Mapping[Outcome, str] = {
    "differs": f"beyond noise: p below {LEVEL} among all cells that are tested, by Holm's method",
    "within noise": "not equal, and no more different than other seeds or examples would be",
    "equal": "every seed that both have gives the same number to the last digit",
    "one side only": "one side has no number here",
    "not testable": "of one seed, and how large its noise is was not kept; or of other data",
}
"""What outcomes say, those first that ask for attention."""

TOLD = ("torch", "torchvision", "device", "instructions", "threads")
"""Facts of the provenance of runs."""

NO_CELL = "no such cell"
"""What is wrong with a side whose suite does not have what the other one has."""

NOT_RUN = "missing"
"""What is wrong with a side that has the cell, of which nothing has been run."""

Row = tuple[str, str, str, str]
"""Experiment, network, variant, bit set."""
States = Mapping[Row, Set[str]]
HALF_WIDTH = 1.96
"""Standard deviations that a 95 % half-width has."""


@dataclass(frozen=True)
class Difference:
    """One cell of both sides."""

    place: Place
    metric: Metric
    tables: tuple[str, ...]
    """Experiments whose cell it is."""
    outcome: Outcome
    left: float | None
    """Mean over the seeds that both have, or over those of the only side; None: no number."""
    right: float | None
    seeds: int
    """That both have; of one side only, that it has."""
    change: float | None = None
    """Right minus left, as people read differences of the metric."""
    low: float | None = None
    """95 % interval of the change; None for one seed."""
    high: float | None = None
    p: float | None = None
    """Of this cell alone; None where nothing is tested."""
    adjusted: float | None = None
    """For all cells that are tested."""
    why: str = ""


class Disagreement(NamedTuple):
    """Something that the sides were made with, and that is not the same."""

    title: str
    left: str
    right: str


@dataclass(frozen=True)
class Comparison:
    """Two collections of results."""

    rows: tuple[Difference, ...]
    """Each number once, however many tables show it; what asks for attention first."""
    provenance: tuple[Disagreement, ...] = ()
    """What alone may move last digits, and training all others; not the code."""

    def of(self, outcome: Outcome) -> list[Difference]:
        """Return the cells with this outcome."""
        return [row for row in self.rows if row.outcome == outcome]

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many cells have each outcome."""
        return {outcome: len(self.of(outcome)) for outcome in MEANINGS}


def compare(left: Frames, right: Frames) -> Comparison:
    """Set the headlines of two collections of results side by side, cell by cell.

    A cell is found by experiment, network, variant, bit set, policy and metric, so that both may be
    of one suite at different times, or of suites that share tables. Seeds are paired. What several
    tables show is compared once.

    Raises:
        ReportError: one is of embedded data and the other of published or made-up ones.
    """
    if left.suite.data != right.suite.data:
        raise ReportError(
            f"Results on {left.suite.data} data and on {right.suite.data} data are never "
            f"compared.\n  Take two of one kind."
        )
    ours, theirs = cells(left), cells(right)
    states = _states(ours), _states(theirs)
    groups: dict[Hashable, list[Place]] = {}
    for place in [*ours, *(place for place in theirs if place not in ours)]:
        sides = (ours.get(place), theirs.get(place))
        content = tuple(side and side.content for side in sides)
        groups.setdefault(content, []).append(place)
    rows = [
        _row((ours.get(places[0]), theirs.get(places[0])), states, places)
        for places in groups.values()
    ]
    order = list(MEANINGS)
    found = _adjusted([row for row in rows if row is not None])
    found.sort(key=lambda row: (order.index(row.outcome), row.p or 0.0))
    return Comparison(tuple(found), tuple(_provenance(left, right)))


def _provenance(left: Frames, right: Frames) -> Iterator[Disagreement]:
    """Yield what the runs of both sides say they were made with, where they disagree."""
    ours, theirs = (dict(health.provenance(side)) for side in (left, right))
    for title in TOLD:
        if title in ours and title in theirs and ours[title] != theirs[title]:
            yield Disagreement(title, ours[title], theirs[title])


def _states(found: Mapping[Place, Cell]) -> States:
    """Return of every row of a table what became of its cells."""
    states: dict[Row, set[str]] = {}
    for place, cell in found.items():
        row = states.setdefault(_row_of(place), set())
        row.update(one.status for one in cell.values.values())
    return states


def _row_of(place: Place) -> Row:
    return place.experiment, place.network, place.variant, place.bitset


def _row(
    cells_there: tuple[Cell | None, Cell | None],
    states: tuple[States, States],
    places: Sequence[Place],
) -> Difference | None:
    """Return what one cell of both sides comes to; None where neither has a number."""
    sides = [_measured(side) for side in cells_there]
    known = cells_there[0] or cells_there[1]
    if known is None or not any(sides):
        return None
    tables = tuple(place.experiment for place in places)
    both = sorted(sides[0].keys() & sides[1].keys(), key=str)
    if not both:
        row = _row_of(known.place)
        return _one_sided(known, sides, [one.get(row, set()) for one in states], tables)
    pairs = [(sides[0][seed], sides[1][seed]) for seed in both]
    found = _paired(known, pairs, tables)
    names = list(dict.fromkeys(one.data for one in cells_there if one))
    if len(names) == 1:
        return found
    why = f"on {' and on '.join(names)}"
    return replace(found, outcome="not testable", change=None, low=None, high=None, p=None, why=why)


def _measured(cell: Cell | None) -> dict[Seed, Value]:
    """Return the seeds of a cell that gave a number."""
    values = cell.values if cell else {}
    return {seed: one for seed, one in values.items() if one.value is not None}


def _one_sided(
    known: Cell,
    sides: Sequence[Mapping[Seed, Value]],
    states: Sequence[Set[str]],
    tables: tuple[str, ...],
) -> Difference:
    """Return a cell of which one side alone has numbers, or both have other seeds.

    Args:
        known: The cell of a side.
        sides: Seeds of left and right that gave a number.
        states: What became of the cells of its row on the left and on the right.
        tables: Experiments whose cell it is.
    """
    left, right = (_mean(known.metric, side.values()) for side in sides)
    if all(sides):
        why = "no seed is on both sides"
    else:
        lacking = sorted(states[bool(sides[0])] - {"complete"}) or [NO_CELL]
        why = f"{'right' if sides[0] else 'left'}: {', '.join(lacking)}"
    seeds = max(len(side) for side in sides)
    return Difference(
        known.place, known.metric, tables, "one side only", left, right, seeds, why=why
    )


def _paired(
    known: Cell, pairs: Sequence[tuple[Value, Value]], tables: tuple[str, ...]
) -> Difference:
    """Return a cell whose sides share seeds."""
    metric = known.metric
    differences = [
        metric.scaled(_number(right)) - metric.scaled(_number(left)) for left, right in pairs
    ]
    found = Difference(
        known.place,
        metric,
        tables,
        "equal",
        _mean(metric, [left for left, _ in pairs]),
        _mean(metric, [right for _, right in pairs]),
        len(pairs),
        change=metric.change(fmean(differences)),
    )
    if not any(differences):
        return found
    examples = _examples(pairs)
    p = _p_value(metric, differences, pairs, examples)
    if p is None:
        return replace(found, outcome="not testable", why="one seed, whose noise is not known")
    limits = interval(differences, examples.shared if examples else 0.0)
    if limits is not None:
        found = replace(found, low=metric.change(limits.low), high=metric.change(limits.high))
    why = "of these networks; one seed says nothing of others" if len(pairs) == 1 else ""
    return replace(found, outcome="within noise", p=p, why=why)


def _examples(pairs: Sequence[tuple[Value, Value]]) -> Discordance | None:
    """Return on which examples the sides differ, right first; None where that was not kept."""
    import numpy as np

    sides = list(zip(*((right.right, left.right) for left, right in pairs), strict=True))
    known = [[one for one in side if one is not None] for side in sides]
    sizes = {len(one) for side in known for one in side}
    if len(sizes) != 1 or any(len(side) != len(pairs) for side in known):
        return None
    return discordant((np.stack(known[0]), np.stack(known[1])))


def _p_value(
    metric: Metric,
    differences: Sequence[float],
    pairs: Sequence[tuple[Value, Value]],
    examples: Discordance | None,
) -> float | None:
    """Return the two-sided p of no difference; None where nothing is known of its noise.

    Of several seeds it is that of Student's test, over examples too where those are known. Of one
    seed, McNemar's; or that of the noise of both test sets, as if these had no example in common.
    """
    if len(differences) > 1:
        return min(1.0, 2 * min(student(differences, shared=examples.shared if examples else 0.0)))
    if examples is not None:
        return examples.p
    noises = [_noise(metric, side) for side in pairs[0]]
    if any(noise is None for noise in noises):
        return None
    spread = hypot(*(noise or 0.0 for noise in noises)) / HALF_WIDTH
    return erfc(abs(differences[0]) / spread / sqrt(2)) if spread else 0.0


def _noise(metric: Metric, one: Value) -> float | None:
    """Return the half-width of a value on the metric's scale."""
    if one.noise is None or metric.scale == "linear":
        return one.noise
    return one.noise / _number(one)


def _adjusted(rows: Sequence[Difference]) -> list[Difference]:
    """Return cells with their p adjusted, and what that says."""
    tested = [row for row in rows if row.p is not None]
    adjusted = dict(zip(map(id, tested), holm([row.p or 0.0 for row in tested]), strict=True))
    return [
        replace(
            row,
            adjusted=adjusted[id(row)],
            outcome="differs" if adjusted[id(row)] <= LEVEL else row.outcome,
        )
        if id(row) in adjusted
        else row
        for row in rows
    ]


def _mean(metric: Metric, values: Iterable[Value]) -> float | None:
    found = [_number(one) for one in values]
    return metric.mean(found) if found else None


def _number(one: Value) -> float:
    if one.value is None:
        raise ValueError("a seed without a number is on no side")
    return one.value
