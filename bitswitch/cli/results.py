"""Commands on results that travel, and on two of them."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from bitswitch.cli.arguments import (
    AllowMixed,
    AsJson,
    Results,
    SuiteName,
    is_pack,
    load,
    measured,
)
from bitswitch.errors import RecordError

Packs = Annotated[
    list[Path], typer.Argument(metavar="PACK...", help="Of one suite; seeds may differ.")
]
Side = Annotated[
    str, typer.Argument(metavar="SUITE|PACK", help="A suite, or a pack of results; then another.")
]


def pack(
    suite: SuiteName,
    output: Annotated[
        Path | None, typer.Option("-o", help="File that is written; default: SUITE.tar.xz.")
    ] = None,
    results: Results = Path("results"),
    allow_mixed: AllowMixed = False,
) -> None:
    """Write what there is of SUITE to one file: tables, records, checksums; no checkpoints."""
    from bitswitch.report.packs import pack as step
    from bitswitch.results.archive import SUFFIX

    loaded = load(suite)
    file = output or Path(f"{loaded.name}{SUFFIX}")
    step.write(loaded, results, file, allow_mixed)
    typer.echo(f"{file}: {file.stat().st_size / 1e6:.2f} MB")


def merge(
    packs: Packs,
    output: Annotated[Path, typer.Option("-o", help="File that is written.")],
    allow_mixed: AllowMixed = False,
) -> None:
    """Join packs of several machines: a run that two have is one, unless its numbers differ."""
    from bitswitch.report.packs.merge import merge as step

    done = step(packs, output, allow_mixed)
    typer.echo(f"{output}: {done.jobs} jobs, {done.agreed} of them in several packs and equal")
    for conflict in done.conflicts:
        typer.echo(f"  both kept, the first in the tables: {conflict}")


def verify(
    what: Annotated[str, typer.Argument(metavar="PACK|SUITE", help="A file, or a suite.")],
    results: Results = Path("results"),
) -> None:
    """Find numbers that were edited: by checksums, and tables against the records."""
    from bitswitch.report.packs.verify import verify_pack, verify_suite

    found = verify_pack(Path(what)) if is_pack(what) else verify_suite(load(what), results)
    if found:
        listed = "".join(f"\n  {finding}" for finding in found)
        raise RecordError(f"{what} is not as it was written:{listed}")
    typer.echo(f"{what}: every number is as it was written")


def compare(
    left: Side,
    right: Side,
    output: Annotated[
        Path | None, typer.Option("-o", metavar="FILE.html", help="Write a page, too.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="List every cell that is not equal.")
    ] = False,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Say which cells of two suites or packs differ beyond noise, and which by less."""
    from bitswitch.report.comparison import page, text
    from bitswitch.report.comparison.comparison import compare as step

    with ExitStack() as opened:
        ours, theirs = (opened.enter_context(measured(one, results)) for one in (left, right))
        found = step(ours, theirs)
    if output is not None:
        names = (f"{left}, {ours.suite.data} data", f"{right}, {theirs.suite.data} data")
        page.write(found, names, output)
    if as_json:
        rows = [text.as_json(row) for row in found.rows]
        provenance = [one._asdict() for one in found.provenance]
        typer.echo(json.dumps({"counts": found.counts, "provenance": provenance, "cells": rows}))
    else:
        typer.echo(text.listed(found, everything))
