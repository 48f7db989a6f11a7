"""Differences between rows of one table: what a change to a method does."""

from collections.abc import Iterable, Iterator

from bitswitch.report import statistics
from bitswitch.report.analysis.values import Place
from bitswitch.report.render.table import Entry
from bitswitch.report.statistics import Paired
from bitswitch.report.tables import entries
from bitswitch.report.tables.accuracy_grid import Grid, is_float

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

    def published(self, variant: str) -> tuple[Entry, ...]:
        """Return the effects between printed values; a row has none over itself."""
        printed = self._grid.printed
        return tuple(
            entries.printed_effect(printed.get(place), printed.get(other))
            if other and not self._is_one_printed_row(variant, other.variant)
            else Entry()
            for place, other in self._pairs(variant)
        )

    def _is_one_printed_row(self, variant: str, other: str) -> bool:
        """Return whether two rows stand beside the same printed one."""
        return self._grid.variants[variant].published == self._grid.variants[other].published

    def reproduced(self, variant: str) -> list[Paired | str | None]:
        """Return the effects between measured values, or why one is not claimed."""
        return [self._effect(pair) for pair in self._pairs(variant)]

    def _effect(self, pair: Pair) -> Paired | str | None:
        ours, theirs = map(self._grid.sample, pair)
        if pair[1] is None or ours is None or theirs is None:
            return None
        if not (ours.is_whole and theirs.is_whole):
            return SURVIVORS
        return statistics.paired(ours.scaled, theirs.scaled)

    def _pairs(self, variant: str) -> Iterator[Pair]:
        """Yield every place of a row with its counterpart in the first row that is akin."""
        alike = self._grid.alike(variant)
        family = [key for key in self._grid.variants if self._is_family(key, variant)]
        twins = [
            key
            for key in family
            if self._grid.variants[key].method == self._grid.variants[variant].method
        ]
        siblings = [key for key in family if key in alike]
        for place in self._grid.places(variant):
            firsts = (self._first(place, group) for group in (twins, siblings))
            other = next((first for first in firsts if first not in (None, place)), None)
            yield place, None if is_float(place) else other

    def _is_family(self, variant: str, other: str) -> bool:
        """Return whether two rows come from one publication and follow the same preset."""
        grid = self._grid
        same = grid.origins[variant] == grid.origins[other]
        return same and grid.variants[variant].preset == grid.variants[other].preset

    def _first(self, place: Place, variants: Iterable[str]) -> Place | None:
        """Return the same column of the first of ``variants`` that has it."""
        others = (place._replace(variant=variant) for variant in variants)
        grid = self._grid
        return next((one for one in others if one in grid.samples or one in grid.printed), None)
