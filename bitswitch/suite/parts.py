"""Parts of a suite, named by the paths of their cells: ``table1/resnet8``."""

from collections.abc import Iterator

from bitswitch.errors import SpecError, hint
from bitswitch.suite.suite import Cell, Suite

LEVELS = ("experiment", "network", "variant")
"""Of a path, outermost first; a path may end after any."""


def part(suite: Suite, text: str) -> Suite:
    """Return the suite with only those jobs that fill the cells in ``text``.

    Its tables and experiments stay what they are.

    Args:
        suite: What it is a part of.
        text: Paths like ``alrs,table1/resnet8/adabits``.

    Raises:
        SpecError: a path that leads nowhere, or none at all.
    """
    wanted = _paths(text)
    if not wanted:
        raise SpecError(f"'{text}' names no cells; a path is experiment/network/variant")
    for path in wanted:
        _check(path, suite.run_cells)
    return suite.expanded_by(lambda: tuple(_below(wanted, suite.run_cells)))


def cells_at(suite: Suite, text: str) -> list[Cell]:
    """Return the cells at the paths in ``text``; what the suite does not have is passed over."""
    return list(_below(_paths(text), suite.run_cells))


def _paths(text: str) -> list[tuple[str, ...]]:
    named = (path.strip() for path in text.split(","))
    return [tuple(path.split("/")) for path in named if path]


def _place(cell: Cell) -> tuple[str, ...]:
    return cell.experiment, cell.network, cell.variant


def _below(wanted: list[tuple[str, ...]], cells: list[Cell]) -> Iterator[Cell]:
    for cell in cells:
        if any(_place(cell)[: len(path)] == path for path in wanted):
            yield cell


def _check(path: tuple[str, ...], cells: list[Cell]) -> None:
    """Raise unless a path leads to cells.

    Raises:
        SpecError: it does not; says at which level, and what there is.
    """
    places = [_place(cell) for cell in cells]
    for level, name in enumerate(path):
        if level == len(LEVELS):
            raise SpecError(
                f"'{'/'.join(path)}' is too long: a path of cells is {'/'.join(LEVELS)}"
            )
        known = list(dict.fromkeys(place[level] for place in places))
        if name not in known:
            above = "/".join(path[:level]) or "the suite"
            raise SpecError(
                f"cells: no {LEVELS[level]} '{name}' is run in {above}."
                f"{hint(name, known)}\n  run: {', '.join(known)}"
            )
        places = [place for place in places if place[level] == name]
