"""Put what the runs of a suite say into tidy tables, published numbers beside them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bitswitch.errors import RecordError
from bitswitch.plugins import facts
from bitswitch.report.collect import deployment_rows, mixed_precision_rows, published
from bitswitch.report.collect.frames import (
    CURVES,
    DEPLOYMENTS,
    METHODS,
    METRICS,
    NEEDS,
    POLICIES,
    POLICY_LAYERS,
    ROUNDING,
    RUNS,
    SCALE_GRADIENTS,
    SCORES,
    SENSITIVITIES,
    SENSITIVITY_USES,
    STORAGE,
    TABLES,
    TASKS,
    Frames,
    frame,
)
from bitswitch.report.collect.headline import Headline
from bitswitch.results.deployments import DeploymentRecord, read_deployment
from bitswitch.results.records import (
    Metric,
    RunRecord,
    ScoringRecord,
    SearchRecord,
    read_run,
    read_scoring,
    read_search,
)
from bitswitch.results.result import NAME as RESULT
from bitswitch.spec.run import RunSpec, title_of
from bitswitch.spec.search import SearchSpec
from bitswitch.suite.suite import Cell, Suite

OUTPUTS = ("suite.yaml", *(f"{name}.csv" for name in TABLES), RESULT)
"""Files that ``write`` makes in ``results/<suite>/``."""

Records = Mapping[str, RunRecord | None]
Row = dict[str, Any]


def write(suite: Suite, results: Path, allow_mixed: bool = False) -> Path:
    """Write the tables of ``suite`` and return their folder, ``results/<suite>``.

    Raises:
        RecordError: see ``collect``.
    """
    folder = results / suite.name
    collect(suite, results, allow_mixed).write(folder)
    return folder


def collect(suite: Suite, results: Path, allow_mixed: bool = False) -> Frames:
    """Return the tables of ``suite`` from its run directories below ``results/runs``.

    A run that is not there leaves rows without a value, which tables print as a dash.

    Args:
        suite: What was run.
        results: Folder that holds ``runs/``.
        allow_mixed: Accept runs of different code versions.

    Raises:
        RecordError: a damaged record, or runs of different code versions.
    """
    records = {run_id: read_run(results / "runs" / run_id) for run_id in suite.runs}
    choices = {cell.run.dataset.identifier: cell.run.dataset for cell in suite.cells}
    datasets = {
        key: facts.dataset_facts(choice.name, choice.options)
        for key, choice in (choices | suite.datasets).items()
    }
    scorings = {
        key: read_scoring(results / "sensitivities" / key, spec)
        for key, spec in suite.sensitivities.items()
    }
    searches = {key: read_search(results / "searches" / key) for key in suite.searches}
    deployed = {key: read_deployment(results / "deployments" / key) for key in suite.deployments}
    if not allow_mixed:
        _refuse_mixed_code(records)
        _refuse_mixed_code({**scorings, **searches})
        _refuse_mixed_code(deployed)
    reproduced = frame(_metric_rows(suite, records, searches, datasets), METRICS)
    beside = published.tidy().assign(suite=suite.name, data="published").reindex(columns=METRICS)
    return Frames(
        suite=suite,
        metrics=pd.concat([reproduced.astype(object), beside.astype(object)], ignore_index=True),
        tasks=frame(_task_rows(suite, datasets), TASKS),
        runs=frame((_run_row(suite.runs[key], records[key], datasets) for key in records), RUNS),
        methods=frame(_method_rows(suite), METHODS),
        curves=frame(_curve_rows(suite, records, datasets), CURVES),
        scale_gradients=frame(_gradient_rows(records), SCALE_GRADIENTS),
        sensitivities=frame(mixed_precision_rows.sensitivity_rows(suite, scorings), SENSITIVITIES),
        scores=frame(mixed_precision_rows.score_rows(scorings), SCORES),
        sensitivity_uses=frame(mixed_precision_rows.use_rows(suite), SENSITIVITY_USES),
        needs=frame(mixed_precision_rows.need_rows(suite), NEEDS),
        policies=frame(mixed_precision_rows.policy_rows(suite, searches), POLICIES),
        policy_layers=frame(mixed_precision_rows.layer_rows(searches), POLICY_LAYERS),
        deployments=frame(deployment_rows.parity_rows(suite, deployed), DEPLOYMENTS),
        storage=frame(deployment_rows.storage_rows(deployed), STORAGE),
        rounding=frame(deployment_rows.rounding_rows(deployed), ROUNDING),
    )


def _refuse_mixed_code(
    records: Mapping[str, RunRecord | ScoringRecord | SearchRecord | DeploymentRecord | None],
) -> None:
    """Raise unless all of them were made by the same numeric code, that of plugins included."""
    by_code: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for run_id, record in records.items():
        if record is not None and record.provenance.code_hash is not None:
            by_code["bitswitch"][record.provenance.code_hash].append(run_id)
            for package, code in record.provenance.plugin_hashes.items():
                by_code[package][code].append(run_id)
    lines = [
        f"  {package} {code}: {len(ids)} runs, e.g. {ids[0]}"
        for package, versions in by_code.items()
        for code, ids in versions.items()
        if len(versions) > 1
    ]
    if lines:
        raise RecordError(
            "Runs of different code versions do not go into one table:\n" + "\n".join(lines) + "\n"
            "  Delete the directories of the older runs and run the suite again,\n"
            "  or accept the mixture: bitswitch collect SUITE --allow-mixed"
        )


def _metric_rows(
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


def _method_rows(suite: Suite) -> Iterator[Row]:
    """Yield the card of every method, in the order of the suite."""
    specs = {cell.run.method.name: cell.run for cell in suite.cells}
    for name, run in specs.items():
        card = facts.card(name)
        recipes = json.dumps(card["published_recipes"]) if card["published_recipes"] else None
        first_last_bits = facts.first_last_bits(run)
        yield card | {
            "method": name,
            "first_last_bits": first_last_bits,
            "published_recipes": recipes,
        }


def _run_row(run: RunSpec, record: RunRecord | None, datasets: Mapping[str, Any]) -> Row:
    """Return the row of one run in ``runs.csv``."""
    about = datasets[run.dataset.identifier]
    row = {
        "run": run.run_id,
        "status": "missing",
        "method": run.method.name,
        "model": run.model.name,
        "dataset": run.dataset.name,
        "bitset": title_of(run.bitset),
        "seed": run.seed,
        **run.training.model_dump(include={"epochs", "batch_size", "learning_rate", "update"}),
        "alrs": run.training.alrs and run.training.alrs.variant,
        "storage": facts.storage(run),
        "data_stamp": about["stamp"],
        "classes": about["outputs"],
        "test_images": about["sizes"]["test"],
    }
    if record is not None:
        measured = record.result.model_dump(exclude={"run_id", "epochs"})
        measured["negative_share"] = json.dumps(measured["negative_share"])
        row |= record.provenance.model_dump(include=set(RUNS)) | measured
    return row


def _task_rows(suite: Suite, datasets: Mapping[str, Any]) -> Iterator[Row]:
    """Yield what counts on every network of a table."""
    networks = {cell.network: cell.run.dataset.identifier for cell in suite.cells}
    for network in filter(networks.__contains__, suite.networks):
        headline = Headline.of(datasets[networks[network]])
        about = headline.metric._asdict()
        yield {
            "network": network,
            "metric": about.pop("name"),
            **about,
            "measure": headline.measure,
            "chance": headline.chance,
            "chance_bound": headline.bound,
            "note": headline.note,
        }


def _curve_rows(suite: Suite, records: Records, datasets: Mapping[str, Any]) -> Iterator[Row]:
    for run_id, record in records.items():
        name = Headline.of(datasets[suite.runs[run_id].dataset.identifier]).metric.name
        for epoch in record.epochs if record else ():
            common = {
                "run": run_id,
                **epoch.model_dump(include={"epoch", "steps", "learning_rate"}),
            }
            for bits, values in epoch.bits.items():
                found = values.model_dump()
                headlines = {
                    "headline": found.get(name),
                    "held_out_headline": found.get(f"held_out_{name}"),
                }
                yield common | {"bits": bits, **found, **headlines}


def _gradient_rows(records: Records) -> Iterator[Row]:
    for run_id, record in records.items():
        for epoch in record.epochs if record else ():
            for operand, by_bits in epoch.scale_gradients.items():
                for bits, layers in by_bits.items():
                    for position, (layer, values) in enumerate(layers.items()):
                        yield {
                            "run": run_id,
                            "epoch": epoch.epoch,
                            "operand": operand,
                            "bits": bits,
                            "position": position,
                            "layer": layer,
                            **values.model_dump(),
                        }
