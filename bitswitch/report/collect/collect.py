"""Put what the runs of a suite say into tidy tables, published numbers beside them."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bitswitch.errors import RecordError
from bitswitch.plugins import facts
from bitswitch.report.collect import (
    deployment_rows,
    metric_rows,
    mixed_precision_rows,
    published,
    run_rows,
)
from bitswitch.report.collect.columns import METRICS, TABLES
from bitswitch.report.collect.frames import Frames, frame
from bitswitch.results.deployments import DeploymentRecord, read_deployment
from bitswitch.results.records import (
    RunRecord,
    ScoringRecord,
    SearchRecord,
    read_run,
    read_scoring,
    read_search,
)
from bitswitch.results.result import NAME as RESULT
from bitswitch.suite.suite import Suite

OUTPUTS = ("suite.yaml", *(f"{name}.csv" for name in TABLES), RESULT)
"""Files that ``write`` makes in ``results/<suite>/``."""


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
    reproduced = frame(metric_rows.metric_rows(suite, records, searches, datasets), METRICS)
    beside = published.tidy().assign(suite=suite.name, data="published").reindex(columns=METRICS)
    rows = {
        "tasks": run_rows.task_rows(suite, datasets),
        "runs": run_rows.run_rows(suite, records, datasets),
        "methods": run_rows.method_rows(suite),
        "correct_examples": metric_rows.correct_rows({**records, **searches}),
        "curves": run_rows.curve_rows(suite, records, datasets),
        "scale_gradients": run_rows.gradient_rows(records),
        "sensitivities": mixed_precision_rows.sensitivity_rows(suite, scorings),
        "scores": mixed_precision_rows.score_rows(scorings),
        "sensitivity_uses": mixed_precision_rows.use_rows(suite),
        "needs": mixed_precision_rows.need_rows(suite),
        "policies": mixed_precision_rows.policy_rows(suite, searches),
        "policy_layers": mixed_precision_rows.layer_rows(searches),
        "deployments": deployment_rows.parity_rows(suite, deployed),
        "storage": deployment_rows.storage_rows(deployed),
        "rounding": deployment_rows.rounding_rows(deployed),
    }
    return Frames(
        suite=suite,
        metrics=pd.concat([reproduced.astype(object), beside.astype(object)], ignore_index=True),
        **{name: frame(rows[name], TABLES[name]) for name in rows},
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
