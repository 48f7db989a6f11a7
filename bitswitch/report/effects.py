"""Differences between rows of one table: what a change to a method does."""

from collections.abc import Iterable, Iterator

from bitswitch.report import entries, statistics
from bitswitch.report.accuracy_grid import Grid, is_float
from bitswitch.report.statistics import Effect
from bitswitch.report.table import Entry
from bitswitch.report.values import Place

SURVIVORS = "no effect is claimed where seeds of either row collapsed or diverged"

Pair = tuple[Place, Place | None]
"""A place, and the one of the row it is compared with."""


class Effects:
    """Effects of the rows of one network, each over a row that differs in one thing at most.

    That is the first row of the same method with the same options; for this row itself, the first
    of the same publication, distilled like it or not distilled like it.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def published(self, arm: str) -> tuple[Entry, ...]:
        """Return the effects between printed values; a row has none over itself."""
        printed = self._grid.printed
        return tuple(
            entries.printed_effect(printed.get(place), printed.get(other))
            if other and not self._is_one_printed_row(arm, other.arm)
            else Entry()
            for place, other in self._pairs(arm)
        )

    def _is_one_printed_row(self, arm: str, other: str) -> bool:
        """Return whether two rows stand beside the same printed one."""
        return self._grid.arms[arm].published == self._grid.arms[other].published

    def reproduced(self, arm: str) -> list[Effect | str | None]:
        """Return the effects between measured values, or why one is not claimed."""
        return [self._effect(pair) for pair in self._pairs(arm)]

    def _effect(self, pair: Pair) -> Effect | str | None:
        ours, theirs = map(self._grid.sample, pair)
        if pair[1] is None or ours is None or theirs is None:
            return None
        if not (ours.is_whole and theirs.is_whole):
            return SURVIVORS
        return statistics.effect(ours.values, theirs.values)

    def _pairs(self, arm: str) -> Iterator[Pair]:
        """Yield every place of a row with its counterpart in the first row that is akin."""
        alike = self._grid.alike(arm)
        family = [key for key in self._grid.arms if self._is_family(key, arm)]
        twins = [
            key for key in family if self._grid.arms[key].method == self._grid.arms[arm].method
        ]
        siblings = [key for key in family if key in alike]
        for place in self._grid.places(arm):
            firsts = (self._first(place, group) for group in (twins, siblings))
            other = next((first for first in firsts if first not in (None, place)), None)
            yield place, None if is_float(place) else other

    def _is_family(self, arm: str, other: str) -> bool:
        """Return whether two rows come from one publication and follow the same preset."""
        grid = self._grid
        same = grid.origins[arm] == grid.origins[other]
        return same and grid.arms[arm].preset == grid.arms[other].preset

    def _first(self, place: Place, arms: Iterable[str]) -> Place | None:
        """Return the same column of the first of ``arms`` that has it."""
        others = (place._replace(arm=arm) for arm in arms)
        grid = self._grid
        return next((one for one in others if one in grid.samples or one in grid.printed), None)
