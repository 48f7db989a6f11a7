"""The values that a figure shows, and where: what a page tells to whoever points at them."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

MOST = 64
"""Values told of one line: of more, as many, evenly spaced."""


class Point(NamedTuple):
    """One value."""

    x: float
    """From the left, as a share of the figure's width."""
    y: float
    """From above, as a share of the figure's height."""
    text: str


def points(figure: "Figure") -> Iterator[Point]:
    """Yield the values of all panels of a figure that has its layout."""
    for axes in figure.axes:
        for spots, texts in _told(axes):
            seen = axes.bbox.padded(1)
            for (x, y), text in zip(spots, texts, strict=True):
                if np.isfinite((x, y)).all() and seen.contains(x, y):
                    yield Point(x / figure.bbox.width, 1 - y / figure.bbox.height, text)


def _told(axes: "Axes") -> Iterator[tuple[np.ndarray, list[str]]]:
    """Yield places on the canvas with a text each: of lines and of bars."""
    from matplotlib.container import BarContainer

    for line in axes.lines:
        if line.get_transform().contains_branch(axes.transData) and not _is_decoration(line):
            data = np.asarray(line.get_xydata(), dtype=float)
            chosen = np.linspace(0, len(data) - 1, min(MOST, len(data))).astype(int)
            yield _lines(axes, data[chosen], _label(line))
    for bars in axes.containers:
        if isinstance(bars, BarContainer):
            boxes = [bar.get_bbox() for bar in bars.patches]
            ends = [[(box.x0 + box.x1) / 2, box.y1] for box in boxes]
            if bars.orientation == "horizontal":
                ends = [[box.x1, (box.y0 + box.y1) / 2] for box in boxes]
            yield _lines(axes, ends, _label(bars))


def _is_decoration(line: "Artist") -> bool:
    """Return whether a line is a part of another, such as the end of an error bar."""
    return str(line.get_label()) == "_nolegend_" or not line.get_visible()


def _label(artist: "Artist | BarContainer") -> str:
    """Return what the legend calls something; nothing where it does not name it."""
    label = str(artist.get_label())
    return "" if label.startswith("_") else label


def _lines(axes: "Axes", data: "ArrayLike", label: str) -> tuple[np.ndarray, list[str]]:
    found = np.asarray(data, dtype=float).reshape(-1, 2)
    texts = [
        _joined(label, _reading(axes.xaxis, x), _reading(axes.yaxis, y)) for x, y in found.tolist()
    ]
    return axes.transData.transform(found), texts


def _reading(axis: "Axis", value: float) -> str:
    """Return a value as its axis names it: the name of a tick, else the label and the number."""
    from matplotlib.ticker import FixedFormatter, FuncFormatter

    if isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter):
        for tick, name in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=False):
            if abs(tick - value) < 1e-6 and name.get_text():
                return str(name.get_text()).replace("\n", " ")
    return f"{axis.get_label_text()} {value:.4g}".strip()


def _joined(*parts: str) -> str:
    return " · ".join(filter(None, parts))


def thinned(found: Iterable[Point], apart: float = 1e-4) -> list[Point]:
    """Return points without those that say the same at the same place."""
    kept = {(round(one.x / apart), round(one.y / apart), one.text): one for one in found}
    return list(kept.values())
