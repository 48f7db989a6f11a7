"""The tables of a suite: which there are, and their files."""

from collections.abc import Callable
from pathlib import Path

from bitswitch.errors import ReportError, hint
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render import latex, page
from bitswitch.report.render.table import Table
from bitswitch.report.tables import (
    accuracy_table,
    cost_table,
    gradient_table,
    layer_table,
    parity_table,
    rounding_table,
    scoring_table,
    search_table,
    stability_table,
    storage_table,
)
from bitswitch.results.files import write_bytes
from bitswitch.suite.suite import ExperimentSpec, Suite

COSTS = "table5"
"""The printed table that is about time instead of accuracy."""

NEEDED = (
    "metrics",
    "runs",
    "methods",
    "sensitivities",
    "scores",
    "sensitivity_uses",
    "needs",
    "policies",
    "policy_layers",
    "deployments",
    "storage",
    "rounding",
)
"""What tables are made from."""

ALSO_NEEDED = {gradient_table.EXPERIMENT: ("scale_gradients",)}
"""What single tables are made from besides."""

Build = Callable[[Frames, str, str], Table]

BY_NAME: dict[str, Build] = {
    gradient_table.EXPERIMENT: gradient_table.build,
    layer_table.EXPERIMENT: layer_table.build,
    rounding_table.EXPERIMENT: rounding_table.build,
    storage_table.EXPERIMENT: storage_table.build,
}
"""Of experiments whose variants do the same as those of others."""


def names(suite: Suite) -> list[str]:
    """Return the names of a suite's tables, one per experiment, each different.

    A printed table gives its name where one experiment alone reproduces it.
    """
    printed = [experiment.printed for experiment in suite.experiments.values()]
    return [
        table
        if table and printed.count(table) == 1 and table not in suite.experiments
        else experiment
        for experiment, table in zip(suite.experiments, printed, strict=True)
    ]


def build(frames: Frames, name: str) -> Table:
    """Return the table ``name``.

    Raises:
        ReportError: the suite has no such table.
    """
    by_name = dict(zip(names(frames.suite), frames.suite.experiments, strict=True))
    if name not in by_name:
        raise ReportError(
            f"Suite '{frames.suite.name}' has no table '{name}'.{hint(name, by_name)}\n"
            f"  it has: {', '.join(by_name)}"
        )
    experiment = by_name[name]
    return _builder(experiment, frames.suite.experiments[experiment])(frames, experiment, name)


def _builder(name: str, experiment: ExperimentSpec) -> Build:
    """Return what builds the table of an experiment: most follows from what its variants do."""
    variants = experiment.variants.values()
    if experiment.printed:
        return cost_table.build if experiment.printed == COSTS else accuracy_table.build
    if name in BY_NAME:
        return BY_NAME[name]
    if all(variant.deploy for variant in variants):
        return parity_table.build
    if all(variant.search for variant in variants):
        return search_table.build
    if any(score.epochs for variant in variants for score in variant.scores):
        return stability_table.build
    return (
        scoring_table.build if all(variant.scores for variant in variants) else accuracy_table.build
    )


def write(name: str, folder: Path) -> list[Path]:
    """Write ``tables/<name>.tex`` and ``.html`` below ``folder``; return their paths.

    Args:
        name: One of ``names(suite)``.
        folder: Where ``collect.write`` left its files.

    Raises:
        ReportError: the suite has no such table.
    """
    table = build(Frames.read(folder, *NEEDED, *ALSO_NEEDED.get(name, ())), name)
    texts = {"tex": latex.table(table), "html": page.table(table)}
    paths = []
    for suffix, text in texts.items():
        path = folder / "tables" / f"{name}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, text.encode())
        paths.append(path)
    return paths
