"""Which rows training has not lifted above the start that nobody trained, and why not."""

from collections.abc import Mapping
from statistics import fmean

from bitswitch.report.analysis.values import Place, Sample
from bitswitch.report.tables.accuracy_grid import Grid

ZERO_STEP = "zero-step"
"""The method that takes no step."""
STARTED = "double-rounding"
"""The method whose start it is."""
NARROW = 3
"""Widest bit-width at which a start is far from what training reaches: any loss there is said."""
FAR = 5.0
"""Points, or percent of a ratio, that a wider bit-width may lose unsaid: it begins near the top."""


def remark(grid: Grid, variant: str) -> str:
    """Return at which bit-widths a row is worse than that of ``zero-step``; empty: at none.

    Args:
        grid: Of one network.
        variant: The row.
    """
    start = next((key for key, one in grid.variants.items() if one.method.name == ZERO_STEP), None)
    if start is None or variant == start:
        return ""
    places = [place for place in grid.places(variant) if place.policy.isdigit()]
    low = [place for place in places if _is_below(grid, start, place, grid.samples)]
    if not low:
        return ""
    *others, last = (place.policy for place in low)
    widths = f"{', '.join(others)} and {last}" if others else last
    return f"below zero-step at {widths} bits: {_reason(grid, variant, start, low)}"


def _is_below(grid: Grid, start: str, place: Place, samples: Mapping[Place, Sample]) -> bool:
    """Return whether ``samples`` have less at a place than the start does, by what is said.

    Seeds that collapsed have a note of their own.
    """
    ours, theirs = samples.get(place), grid.samples.get(place._replace(variant=start))
    if not (ours and theirs and ours.values and theirs.values):
        return False
    metric = ours.metric
    loss = metric.sign * (fmean(theirs.scaled.values()) - fmean(ours.scaled.values()))
    return abs(metric.change(loss)) > (0 if int(place.policy) <= NARROW else FAR) and loss > 0


def _reason(grid: Grid, variant: str, start: str, low: list[Place]) -> str:
    again = grid.recalibrated
    if all(place in again and not _is_below(grid, start, place, again) for place in low):
        return "its statistics of batch norm lag behind its weights; recalibrated, it is not"
    if grid.variants[variant].method.name != STARTED:
        return "it starts from quantizers of its own, and its steps do not make up for them"
    return "its steps cost it more than they gain"
