"""The tables of a suite: which there are, and their files."""

from pathlib import Path

from bitswitch.errors import ReportError, hint
from bitswitch.records import write_bytes
from bitswitch.report import accuracy_table, cost_table, latex, page
from bitswitch.report.frames import Frames
from bitswitch.report.table import Table
from bitswitch.suite import Suite

COSTS = "table5"
"""The printed table that is about time instead of accuracy."""


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
    is_cost = frames.suite.experiments[experiment].printed == COSTS
    build_one = cost_table.build if is_cost else accuracy_table.build
    return build_one(frames, experiment, name)


def write(name: str, folder: Path) -> list[Path]:
    """Write ``tables/<name>.tex`` and ``.html`` below ``folder``; return their paths.

    Args:
        name: One of ``names(suite)``.
        folder: Where ``collect.write`` left its files.

    Raises:
        ReportError: the suite has no such table.
    """
    table = build(Frames.read(folder, "metrics", "runs", "methods"), name)
    texts = {"tex": latex.table(table), "html": page.table(table)}
    paths = []
    for suffix, text in texts.items():
        path = folder / "tables" / f"{name}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, text.encode())
        paths.append(path)
    return paths
