"""Rows about how good networks are, for ``metrics.csv``."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bitswitch.report.collect.headline import Headline
from bitswitch.results.deployments import DeploymentRecord
from bitswitch.results.records import Metric, RunRecord, SearchRecord
from bitswitch.spec.run import title_of
from bitswitch.spec.search import SearchSpec
from bitswitch.suite.suite import Cell, Suite

Records = Mapping[str, RunRecord | None]
Row = dict[str, Any]


def metric_rows(
    suite: Suite,
    records: Records,
    searches: Mapping[str, SearchRecord | None],
    datasets: Mapping[str, Any],
) -> Iterator[Row]:
    """Yield the rows of every cell, then those of the full-precision runs they start from.

    A run that several searches search stands in each of its variants once.
    """
    starts: dict[tuple[str, str, int], Cell] = {}
    places = set()
    for cell in suite.cells:
        place = (cell.experiment, cell.network, cell.variant, cell.run.run_id, cell.bitset)
        if place not in places:
            places.add(place)
            yield from _cell_rows(suite, cell, records, datasets)
        if cell.search is not None:
            found = None if cell.skipped else searches[cell.search.identifier]
            yield from _search_rows(suite, cell, cell.search, found, datasets)
        start = cell.run.ancestors[0] if cell.run.ancestors else None
        if start is not None and start.is_float and cell.skipped is None:
            where = (cell.experiment, cell.network, cell.seed)
            starts.setdefault(where, cell._replace(run=start, variant="float", bitset=start.bitset))
    for cell in starts.values():
        yield from _cell_rows(suite, cell, records, datasets)


def correct_rows(
    records: Mapping[str, RunRecord | SearchRecord | DeploymentRecord | None],
) -> Iterator[Row]:
    """Yield one row per job and share of examples that it has kept, each once.

    Args:
        records: By identifier.
    """
    for key, record in records.items():
        for line in record.correct if record else ():
            yield {"job": key, **line.model_dump()}


def _shared(suite: Suite, cell: Cell) -> Row:
    """Return what all rows of one cell have in common."""
    run = cell.run
    return {
        "suite": suite.name,
        "data": suite.data,
        "source": "reproduced",
        "experiment": cell.experiment,
        "network": cell.network,
        "method": run.method.name,
        "model": run.model.name,
        "dataset": run.dataset.name,
        "bitset": title_of(cell.bitset),
        "variant": cell.variant,
        "seed": cell.seed,
        "run": None if cell.skipped else run.run_id,
    }


def _search_rows(
    suite: Suite,
    cell: Cell,
    search: SearchSpec,
    record: SearchRecord | None,
    datasets: Mapping[str, Any],
) -> Iterator[Row]:
    """Yield every measured value of the policies that one search has found.

    Args:
        suite: Of the search.
        cell: Whose network was searched.
        search: What was asked for.
        record: What it left.
        datasets: About datasets.
    """
    headline = _headline(cell, datasets)
    shared = _shared(suite, cell)
    shared |= {"search": search.identifier, "search_seed": search.seed}
    if record is not None and record.result.status == "complete":
        for line in _judged(record.metrics, headline):
            yield shared | line
        absent = {name: ("infeasible", why) for name, why in record.result.infeasible.items()}
    else:
        status = (cell.skipped and "skipped") or (record.result.status if record else "missing")
        reason = cell.skipped or (record.result.diagnosis if record else "not run to the end")
        absent = {budget.name: (status, reason or "") for budget in search.budgets}
    for name, (status, reason) in absent.items():
        missing = {"policy": name, "split": "test", **_named(headline)}
        yield shared | missing | {"status": status, "where": reason}


def _cell_rows(
    suite: Suite, cell: Cell, records: Records, datasets: Mapping[str, Any]
) -> Iterator[Row]:
    """Yield every measured value of one cell, or one empty row per bit-width that says why."""
    run, shared, headline = cell.run, _shared(suite, cell), _headline(cell, datasets)
    record = None if cell.skipped else records[run.run_id]
    status, reason = _state(cell, record)
    if record is not None:
        yield from (shared | row for row in _measured(record, headline))
    if status not in ("complete", "collapsed"):
        for bits in run.bitset:
            missing = {"policy": str(bits), "split": "test", **_named(headline)}
            yield shared | missing | {"status": status, "where": reason}


def _state(cell: Cell, record: RunRecord | None) -> tuple[str, str | None]:
    """Return the status of a cell and the reason for it."""
    if cell.skipped is not None:
        return "skipped", cell.skipped
    if record is None:
        return "missing", "not run to the end"
    return record.result.status, record.result.diagnosis


def _headline(cell: Cell, datasets: Mapping[str, Any]) -> Headline:
    """Return the headline of a cell's task."""
    return Headline.of(datasets[cell.run.dataset.identifier])


def _named(headline: Headline) -> Row:
    """Return what a row without a value says of its metric."""
    return {"metric": headline.metric.name, "unit": headline.metric.unit}


def _measured(record: RunRecord, headline: Headline) -> Iterator[Row]:
    """Yield one row per measured value of a run.

    Args:
        record: The run; if it is flagged as collapsed, some of its bit-widths may still be good.
        headline: Of its task.
    """
    result = record.result
    diagnosis = result.diagnosis if result.status == "collapsed" else None
    yield from _judged(record.metrics, headline, diagnosis)
    for bits, share in result.negative_share.items():
        line = Metric(
            split="train", policy=str(bits), metric="negative_share", value=share, unit="share"
        )
        yield line.model_dump() | {"status": result.status, "where": result.diagnosis}


def _judged(
    metrics: Iterable[Metric], headline: Headline, diagnosis: str | None = None
) -> Iterator[Row]:
    """Yield one row per value: complete, or collapsed where the test headline is that of guessing.

    Every one is held against the bound by itself: of a bit-width or a sub-net; as trained, with
    batch norms recalibrated, or trained on.

    Args:
        metrics: Values.
        headline: Says up to where a network may be guessing.
        diagnosis: What rows of guessing say; None: that they are.
    """
    why = diagnosis or headline.guessing
    for line in metrics:
        is_headline = line.split == "test" and headline.role(line.metric)
        flagged = is_headline and headline.is_guess(line.value)
        status, where = ("collapsed", why) if flagged else ("complete", None)
        yield line.model_dump() | {"status": status, "where": where}
