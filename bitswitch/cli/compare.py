"""Command on two collections of results."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from bitswitch.cli.arguments import AsJson, Results, measured

Side = Annotated[
    str, typer.Argument(metavar="SUITE|PACK", help="A suite, or a pack of results; then another.")
]


def compare(
    left: Side,
    right: Side,
    output: Annotated[
        Path | None, typer.Option("-o", metavar="FILE.html", help="Write a page, too.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="List cells within noise as well.")
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
        typer.echo(json.dumps({"counts": found.counts, "cells": rows}))
    else:
        typer.echo(text.listed(found, everything))
