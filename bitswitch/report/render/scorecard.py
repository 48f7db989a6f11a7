"""What a scorecard is, before it is printed in LaTeX or HTML."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


def style(verdict: str) -> str:
    """Return the name of the style of a verdict.

    >>> style("holds, smaller"), style("embedded: not evidence for or against")
    ('holdssmaller', 'embedded')
    """
    return "".join(filter(str.isalpha, verdict.partition(":")[0]))


@dataclass(frozen=True)
class Link:
    """A place in the tables."""

    anchor: str
    """Of a cell or a table."""
    table: str
    """The name of the table that it is in."""
    title: str


@dataclass(frozen=True)
class Row:
    """One claim, as text."""

    name: str
    statement: str
    source: str
    verdict: str
    found: str = ""
    """What was seen, where that gives no verdict."""
    why: tuple[str, ...] = ()
    """Reasons of its own."""
    marks: tuple[str, ...] = ()
    """Reasons that others share: footnotes to the verdict, by letter."""
    printed: str = ""
    reproduced: str = ""
    interval: str = ""
    """With the number of seeds."""
    tables: tuple[Link, ...] = ()
    """The first cell in each table."""
    runs: tuple[str, ...] = ()
    """Identifiers."""
    command: str = ""
    """Runs what is missing; empty where the group has a command."""
    cost: str = ""
    """What that takes."""


@dataclass(frozen=True)
class Group:
    """Claims that stand together, and why."""

    title: str
    rows: tuple[Row, ...]
    command: str = ""
    """Runs what all of them miss."""


@dataclass(frozen=True)
class Count:
    """How many claims have a verdict."""

    verdict: str
    meaning: str
    claims: int


@dataclass(frozen=True)
class Scorecard:
    """The claims of a suite, each with what became of it."""

    stamp: str
    """Suite and data."""
    groups: tuple[Group, ...]
    footnotes: tuple[tuple[str, str], ...]
    """(letter, text)."""
    meanings: Mapping[str, str]
    """Of all verdicts, in their order."""

    @property
    def rows(self) -> list[Row]:
        """All claims."""
        return [row for group in self.groups for row in group.rows]

    @property
    def counts(self) -> list[Count]:
        """How many claims have each verdict."""
        found = Counter(row.verdict for row in self.rows)
        return [Count(verdict, text, found[verdict]) for verdict, text in self.meanings.items()]
