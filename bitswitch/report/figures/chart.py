"""A small chart of curves as SVG, drawn thousands of times faster than a figure with a layout."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bitswitch.report.figures.drawing import colour
from bitswitch.report.figures.points import Point, compressed

WIDTH, HEIGHT = 440, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 38
"""Margins, which hold the names of ticks and axes."""

Curve = Sequence[tuple[float, float]]


class Line(NamedTuple):
    """One curve."""

    label: str
    colour: str
    spots: tuple[Point, ...]
    """Where values are drawn."""

    @property
    def path(self) -> str:
        """As ``points`` of an SVG polyline."""
        return " ".join(f"{spot.x:.1f},{spot.y:.1f}" for spot in self.spots)

    @property
    def told(self) -> tuple[str, str]:
        """What all values say, and where each stands and what it says itself."""
        return next(compressed(self.spots))


class Tick(NamedTuple):
    """A place on an axis."""

    at: float
    text: str


class Chart(NamedTuple):
    """Curves by bit-width over epochs, ready to be printed."""

    title: str
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    lines: tuple[Line, ...]


def chart(title: str, curves: Mapping[int, Curve]) -> Chart | None:
    """Return a chart of curves by bit-width; None where there is no value.

    Args:
        title: Of the vertical axis.
        curves: Pairs of epoch and value.
    """
    values = [point for curve in curves.values() for point in curve]
    if not values:
        return None
    first, last = _limits([x for x, _ in values])
    low, high = _limits([y for _, y in values])

    def across(x: float) -> float:
        return LEFT + (x - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def up(y: float) -> float:
        return HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def line(bits: int, curve: Curve) -> Line:
        name = f"{bits} bits"
        tip = f"{name} · epoch {{}} · {{}}"
        spots = (Point(across(x), up(y), tip, (f"{x:g}", f"{y:.4g}")) for x, y in curve)
        return Line(name, colour(bits), tuple(spots))

    return Chart(
        title,
        tuple(Tick(across(x), f"{x:g}") for x in _ticks(first, last, integer=True)),
        tuple(Tick(up(y), f"{y:g}") for y in _ticks(low, high)),
        tuple(line(bits, curves[bits]) for bits in sorted(curves, reverse=True) if curves[bits]),
    )


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis, some space beyond the values.

    >>> _limits([1.0, 3.0]), _limits([2.0])
    ((0.9, 3.1), (1.5, 2.5))
    """
    low, high = min(values), max(values)
    space = 0.05 * (high - low) or 0.5
    return low - space, high + space


def _ticks(low: float, high: float, integer: bool = False) -> list[float]:
    """Return some round numbers between two."""
    from matplotlib.ticker import MaxNLocator

    found = MaxNLocator(5, integer=integer).tick_values(low, high)
    return [float(round(one, 9)) for one in found if low <= one <= high]
