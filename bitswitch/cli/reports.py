"""Commands that make tables, figures and documents."""

import os
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bitswitch.cli.arguments import (
    AllowMixed,
    Collected,
    Results,
    SuiteName,
    called,
    check_name,
    is_pack,
    load,
    load_collected,
)
from bitswitch.errors import SpecError

WATCH_NICENESS = 5
"""Of a process that makes a report while jobs run."""

OneName = Annotated[str | None, typer.Argument(metavar="[NAME]", help="One of them; default: all.")]


def collect(
    suite: SuiteName,
    results: Results = Path("results"),
    allow_mixed: AllowMixed = False,
) -> None:
    """Put what the runs of SUITE say into tidy tables, published numbers beside them."""
    from bitswitch.report.collect import collect as step

    typer.echo(step.write(load(suite), results, allow_mixed))


def table(suite: Collected, name: OneName = None, results: Results = Path("results")) -> None:
    """Make the table NAME of SUITE, for LaTeX and HTML; without a name, all and the scorecard."""
    from bitswitch.report.collect.frames import Frames
    from bitswitch.report.document import parts
    from bitswitch.report.tables import tables

    loaded, folder = load_collected(suite, results)
    if name is None:
        parts.write(Frames.read(folder), folder, called(suite))
        return
    check_name(name, tables.names(loaded), f"Suite '{loaded.name}' has no table")
    tables.write(name, folder, Frames.read(folder))
    tables.write_style(folder)


def figure(
    suite: Collected,
    name: OneName = None,
    results: Results = Path("results"),
    processes: Annotated[int, typer.Option(min=1, help="How many draw at once.")] = 1,
) -> None:
    """Draw the figure NAME of SUITE, as PDF and PNG; without a name, all of them."""
    from bitswitch.report.collect.frames import Frames
    from bitswitch.report.figures import figures

    loaded, folder = load_collected(suite, results)
    if name is not None:
        check_name(name, figures.names(loaded), f"Suite '{loaded.name}' has no figure")
    figures.write_all(folder, Frames.read(folder), processes, None if name is None else [name])


class Document(StrEnum):
    """What ``report`` makes."""

    ALL = "all"
    HTML = "html"
    PDF = "pdf"


def report(
    suite: Collected,
    document: Annotated[
        Document, typer.Argument(metavar="[all|html|pdf]", help="all: tables and figures too.")
    ] = (Document.ALL),
    results: Results = Path("results"),
    allow_mixed: AllowMixed = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Make the page again as jobs end, until all have.")
    ] = False,
) -> None:
    """Build the report of SUITE from the runs that are there; the others become dashes.

    Of a PACK it is built from what that holds, in the folder RESULTS/SUITE. With --watch the page
    is RESULTS/SUITE/so-far/report.html, and what runs meanwhile is left alone.
    """
    from bitswitch.report.collect import collect
    from bitswitch.report.collect.frames import Frames
    from bitswitch.report.document import html, parts, pdf
    from bitswitch.report.document.progress import progress_of
    from bitswitch.report.figures import figures
    from bitswitch.runtime.devices import available_cpus

    if watch:
        if is_pack(suite) or document is Document.PDF:
            raise SpecError("--watch makes the page of a suite whose jobs are running, not this.")
        _watch(suite, results, allow_mixed)
        return
    loaded, folder = load_collected(suite, results)
    if document is Document.ALL:
        if not is_pack(suite):
            collect.write(loaded, results, allow_mixed)
        frames = Frames.read(folder)
        parts.write(frames, folder, called(suite))
        figures.write_all(folder, frames, available_cpus())
    if document is not Document.PDF:
        progress = None if is_pack(suite) else progress_of(loaded, results)
        typer.echo(html.write(loaded, folder, progress))
    if document is not Document.HTML:
        typer.echo(pdf.write(loaded, folder))


def _watch(suite: str, results: Path, allow_mixed: bool) -> None:
    """Make the page of a suite as jobs end, in time that these leave over."""
    from bitswitch.report.document.watching import Watch

    os.nice(WATCH_NICENESS)
    watch = Watch(load(suite), results, allow_mixed, called(suite))
    typer.echo(f"{watch.page}: made again as jobs end; Ctrl-C stops it")
    try:
        for progress in watch:
            at = time.strftime("%H:%M:%S")
            typer.echo(f"{at}  {progress.done} of {progress.total} jobs are done")
    finally:  # complete, or a signal that ends it in order
        watch.stop()


def errata(
    path: Annotated[Path, typer.Option(help="File that is written.")] = Path("docs/errata.md"),
) -> None:
    """Write what the printed numbers of the paper themselves get wrong, computed from them."""
    from bitswitch.report.document import errata as step

    step.write(path)
    typer.echo(path)
