"""Command on claims."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bitswitch.cli.arguments import AsJson, Collected, Results, is_pack, load

if TYPE_CHECKING:
    from bitswitch.report.collect.frames import Frames


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

    with _measured(suite, results) as frames:
        wanted = () if names is None else needs.chosen(frames.suite, names)
        rows = scorecard.scorecard(frames, wanted)
    if as_json:
        typer.echo(json.dumps({"claims": [scorecard.as_json(row) for row in rows]}))
    else:
        typer.echo(text.listed(rows, suite) if names is None else text.in_full(rows))


@contextmanager
def _measured(name: str, results: Path) -> "Iterator[Frames]":
    """Yield the tables of a pack or suite: as collected, or of the runs that there are."""
    from bitswitch.report.collect.collect import collect
    from bitswitch.report.collect.frames import Frames
    from bitswitch.report.packs import pack
    from bitswitch.results.result import NAME

    if is_pack(name):
        with pack.opened(Path(name)) as found:
            yield found.frames()
        return
    suite = load(name)
    folder = results / suite.name
    yield Frames.read(folder) if (folder / NAME).exists() else collect(suite, results)
