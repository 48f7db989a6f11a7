"""What several commands take, and how names become objects."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from bitswitch.errors import SpecError, hint

if TYPE_CHECKING:
    from bitswitch.suite.suite import Suite

SuiteName = Annotated[
    str, typer.Argument(metavar="SUITE", help="Name in config/suites/, or a .yaml file.")
]
LISTED_BY = "Identifier, as `bitswitch plan SUITE --json` lists them."
RunName = Annotated[str, typer.Argument(metavar="RUN", help=LISTED_BY)]
Data = Annotated[Path, typer.Option(help="Folder of the datasets.")]
Results = Annotated[Path, typer.Option(help="Folder of runs and reports.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
AllowMixed = Annotated[bool, typer.Option(help="Accept runs of different code.")]

LISTED = 12
"""A message lists at most this many names."""

T = TypeVar("T")


def load(name: str) -> "Suite":
    """Return the suite ``name``."""
    from bitswitch.suite.suite import load_suite, suite_path

    return load_suite(suite_path(name))


def pick(known: Mapping[str, T], name: str, problem: str) -> T:
    """Return ``known[name]``; see ``check_name``."""
    check_name(name, known, problem)
    return known[name]


def check_name(name: str, known: Collection[str], problem: str) -> None:
    """Raise unless ``name`` is one of ``known``.

    Raises:
        SpecError: it is not; the message starts with ``problem``.
    """
    if name not in known:
        listed = ", ".join(list(known)[:LISTED]) or "none"
        more = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
        raise SpecError(f"{problem} '{name}'.{hint(name, known)}\n  known: {listed}{more}")


def find_run(results: Path, run: str) -> Path:
    """Return the directory of the run with identifier ``run``.

    Raises:
        SpecError: there is none.
    """
    known = [path.parent.name for path in sorted((results / "runs").glob("*/spec.yaml"))]
    check_name(run, known, f"{results / 'runs'} has no run")
    return results / "runs" / run
