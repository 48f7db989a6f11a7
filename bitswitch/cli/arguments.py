"""What several commands take, and how names become objects."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from bitswitch.errors import SpecError, hint

if TYPE_CHECKING:
    from bitswitch.report.collect.frames import Frames
    from bitswitch.suite.suite import Suite

SuiteName = Annotated[
    str, typer.Argument(metavar="SUITE", help="Name in config/suites/, or a .yaml file.")
]
LISTED_BY = "Identifier, as `bitswitch plan SUITE --json` lists them."
RunName = Annotated[str, typer.Argument(metavar="RUN", help=LISTED_BY)]
BegunRun = Annotated[str, typer.Argument(metavar="RUN", help="Name of its folder in RESULTS/runs.")]
Collected = Annotated[
    str,
    typer.Argument(
        metavar="SUITE|PACK", help="Name in config/suites/, a .yaml file, or a pack of results."
    ),
]
Data = Annotated[Path, typer.Option(help="Folder of the datasets.")]
Results = Annotated[Path, typer.Option(help="Folder of runs and reports.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
AllowMixed = Annotated[bool, typer.Option(help="Accept runs of different code.")]

LISTED = 12
"""A message lists at most this many names."""

T = TypeVar("T")


def is_pack(name: str) -> bool:
    """Return whether ``name`` is that of a pack of results."""
    from bitswitch.results.archive import SUFFIX

    return name.endswith(SUFFIX)


def load_collected(name: str, results: Path) -> "tuple[Suite, Path]":
    """Return a suite and the folder of its tables; those of a pack are written there first.

    Args:
        name: Of a suite, or of the file of a pack.
        results: Folder of all results.
    """
    if not is_pack(name):
        suite = load(name)
        return suite, results / suite.name
    from bitswitch.report.packs import pack

    return pack.report(Path(name), results)


@contextmanager
def measured(name: str, results: Path) -> "Iterator[Frames]":
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


def called(name: str) -> str | None:
    """Return what commands call a suite that a user has named; None of a pack: none runs it."""
    from bitswitch.suite.suite import called, suite_path

    return None if is_pack(name) else called(suite_path(name))


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
    if not known:
        raise SpecError(
            f"{results / 'runs'} has no run '{run}': it has none at all.\n"
            f"  Runs are trained by `snakemake --cores 8 all`; --results names another folder."
        )
    check_name(run, known, f"{results / 'runs'} has no run")
    return results / "runs" / run


def bit_widths(written: str) -> list[int]:
    """Return bit-widths with commas between them, as numbers; none of an empty text.

    Raises:
        SpecError: one is no number.
    """
    return [_width(part) for part in written.split(",")] if written else []


def _width(written: str) -> int:
    if not written.strip().isdecimal():
        raise SpecError(
            f"--bits takes bit-widths with commas between them, 8,4 say; '{written}' is none."
        )
    return int(written)
