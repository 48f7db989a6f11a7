"""Put what the runs of a suite say into tidy tables, published numbers beside them."""

from pathlib import Path

import pandas as pd

from bitswitch.report.collect import (
    deployment_rows,
    metric_rows,
    mixed_precision_rows,
    published,
    run_rows,
)
from bitswitch.report.collect.columns import METRICS, TABLES
from bitswitch.report.collect.expansion import NAME as EXPANSION
from bitswitch.report.collect.expansion import Expansion
from bitswitch.report.collect.frames import Frames, frame
from bitswitch.report.collect.job_records import JobRecords, refuse_mixed
from bitswitch.report.collect.repeat_rows import repeat_rows
from bitswitch.results.result import NAME as RESULT
from bitswitch.suite.suite import Suite

OUTPUTS = ("suite.yaml", EXPANSION, *(f"{name}.csv" for name in TABLES), RESULT)
"""Files that ``write`` makes in ``results/<suite>/``."""


def write(
    suite: Suite, results: Path, allow_mixed: bool = False, folder: Path | None = None
) -> Path:
    """Write the tables of ``suite`` and return their folder, ``results/<suite>`` if none is given.

    Raises:
        RecordError: see ``collect``.
    """
    folder, expansion = folder or results / suite.name, Expansion.of(suite)
    collect(suite, results, allow_mixed, expansion).write(folder, expansion)
    return folder


def collect(
    suite: Suite,
    results: Path,
    allow_mixed: bool = False,
    expansion: Expansion | None = None,
) -> Frames:
    """Return the tables of ``suite`` from its run directories below ``results/runs``.

    A run that is not there leaves rows without a value, which tables print as a dash.

    Args:
        suite: What was run.
        results: Folder that holds ``runs/``.
        allow_mixed: Accept runs of different code versions.
        expansion: What plugins say of it; None: the installed ones are asked.

    Raises:
        RecordError: a damaged record, or runs of different code versions.
    """
    expansion = expansion or Expansion.of(suite)
    datasets = expansion.datasets
    found = JobRecords.read(suite, results)
    if not allow_mixed:
        refuse_mixed([found], "bitswitch collect SUITE --allow-mixed")
    records, scorings, searches, deployed = found
    reproduced = frame(metric_rows.metric_rows(suite, records, searches, datasets), METRICS)
    beside = published.tidy().assign(suite=suite.name, data="published").reindex(columns=METRICS)
    rows = {
        "tasks": run_rows.task_rows(suite, datasets),
        "runs": run_rows.run_rows(suite, records, expansion),
        "methods": run_rows.method_rows(expansion),
        "correct_examples": [
            *metric_rows.correct_rows({**records, **searches}),
            *metric_rows.correct_rows(deployed),
        ],
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
        "repeats": repeat_rows(results),
    }
    return Frames(
        suite=suite,
        metrics=pd.concat([reproduced.astype(object), beside.astype(object)], ignore_index=True),
        **{name: frame(rows[name], TABLES[name]) for name in rows},
    )
