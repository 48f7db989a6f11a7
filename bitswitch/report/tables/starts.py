"""Which rows training has not lifted above the start that nobody trained, and why not."""

from collections.abc import Mapping

from bitswitch.report.analysis.values import Place, Sample
from bitswitch.report.tables.accuracy_grid import Grid

ZERO_STEP = "zero-step"
"""The method that takes no step."""
STARTED = "double-rounding"
"""The method whose start it is."""
NARROW = 3
"""Widest bit-width at which a start is far from what training reaches."""


def remark(grid: Grid, variant: str) -> str:
    """Return at which narrow bit-widths a row is below that of ``zero-step``; empty: at none.

    Args:
        grid: Of one network.
        variant: The row.
    """
    start = next((key for key, one in grid.variants.items() if one.method.name == ZERO_STEP), None)
    if start is None or variant == start:
        return ""
    low = [place for place in _narrow(grid, variant) if _below(grid.samples, place, start, grid)]
    if not low:
        return ""
    widths = " and ".join(place.policy for place in low)
    return f"below zero-step at {widths} bits: {_reason(grid, variant, start, low)}"


def _narrow(grid: Grid, variant: str) -> list[Place]:
    """Return the places of a row at narrow bit-widths."""
    places = grid.places(variant)
    return [one for one in places if one.policy.isdigit() and int(one.policy) <= NARROW]


def _below(samples: Mapping[Place, Sample], place: Place, start: str, grid: Grid) -> bool:
    """Return whether what ``samples`` has at ``place`` is worse than the measured start.

    Seeds that collapsed have a note of their own.
    """
    ours, theirs = samples.get(place), grid.samples.get(place._replace(variant=start))
    if not (ours and theirs and ours.values and theirs.values):
        return False
    return (ours.mean - theirs.mean) * ours.metric.sign < 0


def _reason(grid: Grid, variant: str, start: str, low: list[Place]) -> str:
    if all(place in grid.recalibrated for place in low) and not any(
        _below(grid.recalibrated, place, start, grid) for place in low
    ):
        return "its statistics of batch norm lag behind its weights; recalibrated, it is above"
    if grid.variants[variant].method.name != STARTED:
        return "it starts from quantizers of its own, and its steps do not make up for them"
    return "its steps cost it more than they gain"
