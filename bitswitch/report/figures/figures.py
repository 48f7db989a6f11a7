"""The figures of a suite: which there are, what they show, and their files."""

import multiprocessing
import sys
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bitswitch.errors import ReportError, hint
from bitswitch.plugins import registry
from bitswitch.report.collect.frames import Frames
from bitswitch.report.figures import drawing
from bitswitch.report.figures.kind import Drawing, FigureKind
from bitswitch.suite.suite import Suite

ORDER = (
    "staircases",
    "gradients-and-curves",
    "traces-and-subnets",
    "subnet-fronts",
    "layer-bits",
    "draws",
    "rounding-errors",
    "storage",
    "held-out-curves",
    "scale-gradients",
)
"""Kinds as reports show them: as huang2025nearly numbers them, then those that it does not have;
kinds of other packages come after them."""


def of(suite: Suite) -> dict[str, Drawing]:
    """Return a suite's figures by name, in their order: those of further networks come last."""
    # Figures 7 to 12 stand behind Figure 5, before those without a number.
    drawings = (drawn for _, drawn in _named(suite).values())
    ordered = sorted(drawings, key=lambda one: (one.is_further, *_number(one.name)))
    return {one.name: one for one in ordered}


def experiments(suite: Suite) -> dict[str, tuple[str, ...]]:
    """Return by the name of each figure the experiments that it shows."""
    shown: dict[str, tuple[str, ...]] = {}
    for name, (experiment, _) in _named(suite).items():
        beside = suite.experiments[experiment].beside
        shown[name] = (experiment, beside.experiment) if beside else (experiment,)
    return shown


def _named(suite: Suite) -> dict[str, tuple[str, Drawing]]:
    """Return a suite's figures by names of their own, each with its experiment."""
    found: dict[str, tuple[str, Drawing]] = {}
    for experiment, drawn in _drawings(suite):
        if drawn.name in found:
            drawn = _told_apart(drawn, found[drawn.name][1], suite, experiment)
        while drawn.name in found:
            drawn = drawn._replace(name=f"{drawn.name}-{experiment}")
        found[drawn.name] = (experiment, drawn)
    return found


def _told_apart(drawn: Drawing, first: Drawing, suite: Suite, experiment: str) -> Drawing:
    """Return a figure whose title says in what it differs from the ``first`` of the same name."""
    if drawn.network is None or drawn.network == first.network:
        return drawn._replace(title=f"{drawn.title}, {suite.experiments[experiment].title}")
    title = suite.networks[drawn.network].title
    return drawn._replace(
        name=f"{drawn.name}-{drawn.network}",
        title=drawn.title if drawn.title.endswith(title) else f"{drawn.title}, {title}",
        is_further=True,
    )


def names(suite: Suite) -> list[str]:
    """Return the names of a suite's figures."""
    return list(of(suite))


def write(
    name: str,
    folder: Path,
    frames: Frames | None = None,
    suffixes: Collection[str] = drawing.SUFFIXES,
) -> list[Path]:
    """Draw ``figures/<name>.pdf``, ``.png`` and ``.svg`` below ``folder``; return their paths.

    Args:
        name: One of ``names(suite)``.
        folder: Where ``collect.write`` left its files.
        frames: What stands in them, if it has been read.
        suffixes: Of the files that are wanted.

    Raises:
        ReportError: the suite has no such figure.
    """
    frames = frames or Frames.read(folder)
    known = of(frames.suite)
    if name not in known:
        raise ReportError(
            f"Suite '{frames.suite.name}' has no figure '{name}'.{hint(name, known)}\n"
            f"  it has: {', '.join(known) or 'none'}"
        )
    drawn = known[name]
    with drawing.style():
        figure, path = drawn.draw(frames), folder / "figures" / name
        return drawing.save(figure, path, drawn.title, suffixes, drawn.caption)


def write_all(
    folder: Path, frames: Frames, processes: int = 1, chosen: Iterable[str] | None = None
) -> None:
    """Draw figures below ``folder``, several at once: they share nothing.

    Args:
        folder: Where ``collect.write`` left its files.
        frames: What stands in them.
        processes: How many draw; where processes cannot be forked safely, one does.
        chosen: Of ``names(suite)``; default: all.

    Raises:
        ReportError: the suite has no such figure.
    """
    wanted = names(frames.suite) if chosen is None else list(chosen)
    if processes == 1 or len(wanted) < 2 or sys.platform != "linux":
        for name in wanted:
            write(name, folder, frames)
        return
    drawing.load()
    forking = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, forking, _remember, (folder, frames)) as pool:
        list(pool.map(_write_one, wanted))  # raises what one has raised


_shared: list[tuple[Path, Frames]] = []
"""What a process that draws has been forked with."""


def _remember(folder: Path, frames: Frames) -> None:
    _shared.append((folder, frames))


def _write_one(name: str) -> None:
    write(name, *_shared[-1])


def _drawings(suite: Suite) -> Iterator[tuple[str, Drawing]]:
    """Yield every figure with the key of its experiment, kind by kind."""
    used = {name for experiment in suite.experiments.values() for name in experiment.figures}
    for name in (*ORDER, *sorted(used.difference(ORDER))):
        for key, experiment in suite.experiments.items():
            if name in experiment.figures:
                kind: FigureKind = registry.load_kind("figures", name, FigureKind)
                yield from ((key, drawn) for drawn in kind.drawings(suite, key))


def _number(name: str) -> tuple[bool, int]:
    """Return a sort key: by number, then those without one as they come.

    >>> sorted(["figure-storage", "figure10", "figure3"], key=_number)
    ['figure3', 'figure10', 'figure-storage']
    """
    digits = name.removeprefix("figure").partition("-")[0]
    return (not digits.isdigit(), int(digits) if digits.isdigit() else 0)
