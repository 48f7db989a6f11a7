"""What the page of a job holds."""

from typing import NamedTuple

from bitswitch.report.analysis.health import Fact
from bitswitch.report.figures.chart import Chart


class Grid(NamedTuple):
    """A table of a page."""

    title: str
    columns: tuple[str, ...]
    """The first one names rows."""
    rows: tuple[tuple[str, ...], ...]
    about: str = ""
    """How to read it."""


class JobPage(NamedTuple):
    """The page of a run, of a scored network or of a search."""

    name: str
    """Identifier."""
    status: str
    lead: str
    """What it is, in a line."""
    grids: tuple[Grid, ...]
    facts: tuple[Fact, ...]
    """What it took, and what made it."""
    needs: tuple[str, ...]
    """Jobs that it starts from."""
    spec: str
    logs: tuple[tuple[str, str], ...]
    """Where each lies, and its end; empty where it is not here."""
    charts: tuple[Chart, ...] = ()
