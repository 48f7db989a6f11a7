"""Command on claims."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bitswitch.cli.arguments import AsJson, Collected, Results, called, measured


def claims(
    suite: Collected,
    names: Annotated[
        str | None, typer.Option("--id", metavar="C08,C12", help="Only these, in full.")
    ] = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Say which claims hold in what SUITE has measured, and what runs those that are open."""
    from bitswitch.report.claims import needs, scorecard, text

    with measured(suite, results) as frames:
        wanted = () if names is None else needs.chosen(frames.suite, names)
        rows = scorecard.scorecard(frames, wanted, called(suite))
    if as_json:
        typer.echo(json.dumps({"claims": [scorecard.as_json(row) for row in rows]}))
    else:
        typer.echo(text.listed(rows, suite) if names is None else text.in_full(rows))
