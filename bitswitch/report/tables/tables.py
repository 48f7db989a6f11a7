"""The tables of a suite: which there are, and their files."""

from pathlib import Path

from bitswitch.errors import ReportError, hint
from bitswitch.plugins import registry
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render import latex, page
from bitswitch.report.render.assets import asset
from bitswitch.report.render.table import Table
from bitswitch.report.tables.kind import TableKind
from bitswitch.results.files import write_bytes
from bitswitch.suite.suite import ExperimentSpec, Suite

STYLE = "bitswitch.sty"


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


def check(suite: Suite) -> None:
    """Raise unless every experiment has what its table shows.

    Raises:
        PluginError: a table that cannot be imported.
        ReportError: see ``TableKind.check``.
    """
    for name, experiment in suite.experiments.items():
        kind_of(experiment).check(experiment.table, name, experiment)


def build(frames: Frames, name: str) -> Table:
    """Return the table ``name``.

    Raises:
        ReportError: the suite has no such table, or an experiment lacks what its table shows.
    """
    by_name = dict(zip(names(frames.suite), frames.suite.experiments, strict=True))
    if name not in by_name:
        raise ReportError(
            f"Suite '{frames.suite.name}' has no table '{name}'.{hint(name, by_name)}\n"
            f"  it has: {', '.join(by_name)}"
        )
    key = by_name[name]
    experiment = frames.suite.experiments[key]
    kind = kind_of(experiment)
    kind.check(experiment.table, key, experiment)
    return kind.build(frames, key, name)


def kind_of(experiment: ExperimentSpec) -> TableKind:
    """Return what makes the table of an experiment."""
    kind: TableKind = registry.load_kind("tables", experiment.table, TableKind)
    return kind


def write_style(folder: Path) -> Path:
    """Write ``STYLE`` below ``folder``, the LaTeX package that all tables need; return its path."""
    path = folder / STYLE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, asset("paper", STYLE).read_bytes())
    return path


def write(name: str, folder: Path, frames: Frames | None = None) -> list[Path]:
    """Write ``tables/<name>.tex`` and ``.html`` below ``folder``; return their paths.

    Args:
        name: One of ``names(suite)``.
        folder: Where ``collect.write`` left its files.
        frames: What stands in them, if it has been read.

    Raises:
        ReportError: the suite has no such table.
    """
    table = build(frames or Frames.read(folder), name)
    texts = {"tex": latex.table(table), "html": page.table(table)}
    paths = []
    for suffix, text in texts.items():
        path = folder / "tables" / f"{name}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, text.encode())
        paths.append(path)
    return paths
