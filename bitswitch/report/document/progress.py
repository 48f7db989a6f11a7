"""How much of a suite a report shows: what its jobs have left so far."""

from pathlib import Path
from typing import NamedTuple

from bitswitch.results.result import NAME
from bitswitch.suite.suite import Suite

State = tuple[int, int]
"""Time of change and size of a file."""


class Progress(NamedTuple):
    """How many jobs have left a result."""

    done: int
    total: int
    growing: bool = False
    """Whether the report is made again as jobs end."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return self.done >= self.total


def results_of(suite: Suite, results: Path) -> dict[str, list[Path]]:
    """Return the files that the jobs of every experiment leave last, below ``results``."""
    found: dict[str, dict[Path, None]] = {name: {} for name in suite.experiments}
    for cell in suite.run_cells:
        made = (results / folder / name / NAME for folder, name in cell.jobs)
        found[cell.experiment] |= dict.fromkeys(made)
    return {name: list(files) for name, files in found.items()}


def progress_of(suite: Suite, results: Path) -> Progress:
    """Return how much of ``suite`` there is below ``results``."""
    files = {file for made in results_of(suite, results).values() for file in made}
    return Progress(sum(map(Path.exists, files)), len(files))


def states(files: list[Path]) -> dict[Path, State]:
    """Return the states of those ``files`` that there are."""
    found = {}
    for file in files:
        try:
            about = file.stat()
        except OSError:
            continue
        found[file] = (about.st_mtime_ns, about.st_size)
    return found
