"""The values that a figure shows, and where: what a page tells to whoever points at them."""

from collections.abc import Iterable, Iterator
from itertools import chain, groupby, zip_longest
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


SEPARATOR = "|"
"""Between the numbers and texts of values that a page gets in one attribute."""


class Point(NamedTuple):
    """One value."""

    x: float
    """From the left, as a share of the figure's width."""
    y: float
    """From above, as a share of the figure's height."""
    tip: str
    """What all values of a line say, with ``{}`` in place of what each says itself."""
    values: tuple[str, ...]
    """What stands in these places."""

    @property
    def text(self) -> str:
        """What is told of it.

        >>> Point(0, 0, "8 bits · epoch {} · loss {}", ("1", "0.25")).text
        '8 bits · epoch 1 · loss 0.25'
        """
        between = zip_longest(self.tip.split("{}"), self.values, fillvalue="")
        return "".join(chain.from_iterable(between))


def points(figure: "Figure") -> Iterator[Point]:
    """Yield the values of all panels of a figure that has its layout."""
    for axes in figure.axes:
        for spots, texts in _told(axes):
            seen = axes.bbox.padded(1)
            for (x, y), text in zip(spots, texts, strict=True):
                if np.isfinite((x, y)).all() and seen.contains(x, y):
                    yield Point(x / figure.bbox.width, 1 - y / figure.bbox.height, *text)


def compressed(
    found: Iterable[Point], width: float = 1.0, height: float = 1.0
) -> Iterator[tuple[str, str]]:
    """Yield what all values of a line say, and where each stands and what it says itself.

    Args:
        found: Values, line by line.
        width: Of what they are drawn on.
        height: Likewise.
    """
    for tip, points in groupby(found, key=lambda one: one.tip):
        fields = ((f"{width * one.x:.1f}", f"{height * one.y:.1f}", *one.values) for one in points)
        yield tip, SEPARATOR.join(chain.from_iterable(fields))


Texts = list[tuple[str, tuple[str, ...]]]
"""``tip`` and ``values`` of points."""


def _told(axes: "Axes") -> Iterator[tuple[np.ndarray, Texts]]:
    """Yield places on the canvas with texts for each: of lines and of bars."""
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


def _lines(axes: "Axes", data: "ArrayLike", label: str) -> tuple[np.ndarray, Texts]:
    found = np.asarray(data, dtype=float).reshape(-1, 2)
    texts: Texts = []
    for x, y in found.tolist():
        names, values = zip(_reading(axes.xaxis, x), _reading(axes.yaxis, y), strict=True)
        texts.append((" · ".join(filter(None, (label, *names))), values))
    return axes.transData.transform(found), texts


def _reading(axis: "Axis", value: float) -> tuple[str, str]:
    """Return a value as its axis names it: the name of a tick, else the label and the number.

    Returns:
        What is said, with ``{}`` in place of the value, and the value.
    """
    from matplotlib.ticker import FixedFormatter, FuncFormatter

    if isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter):
        for tick, name in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=False):
            if abs(tick - value) < 1e-6 and name.get_text():
                return "{}", _plain(name.get_text())
    return f"{_plain(axis.get_label_text())} {{}}".strip(), f"{value:.4g}"


def _plain(text: str) -> str:
    return text.replace("\n", " ").replace(SEPARATOR, "/")


def thinned(found: Iterable[Point], apart: float = 1e-4) -> list[Point]:
    """Return points without those that say the same at the same place."""
    kept = {(round(one.x / apart), round(one.y / apart), one.text): one for one in found}
    return list(kept.values())
