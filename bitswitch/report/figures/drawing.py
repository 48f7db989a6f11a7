"""What all figures share: style, colours, stamp, files with the same bytes every time."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from bitswitch.report.figures.points import points, thinned
from bitswitch.report.figures.vector import inlined
from bitswitch.report.render.assets import asset
from bitswitch.results.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

WIDTH_IN = 6.75
"""Text width of the document, inches."""

STAMP_IN = 0.16
"""Height of the strip that holds the stamp, inches."""

LEGEND_LINE = 96
"""Letters that one line of a legend has room for."""

COLOURS = {8: "#0072B2", 6: "#009E73", 4: "#E69F00", 3: "#CC79A7", 2: "#D55E00"}
"""One colour per bit-width in every figure (Okabe and Ito, told apart by the colour-blind)."""
MARKERS = {8: "o", 6: "s", 4: "^", 3: "D", 2: "v"}
"""And one marker, for print without colour."""

_NO_DATES: dict[str, dict[str, str | None]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "png": {"Software": None},
    "svg": {"Date": None},
}
SUFFIXES = tuple(_NO_DATES)
"""Of the files of a figure."""


def colour(bits: int) -> str:
    """Return the colour of a bit-width."""
    return COLOURS.get(bits, "#56B4E9")


def marker(bits: int) -> str:
    """Return the marker of a bit-width."""
    return MARKERS.get(bits, "P")


def load() -> None:
    """Import what drawing takes, so that processes forked from this one have it."""
    for name in ("figure", "axes", *(f"backends.backend_{one}" for one in ("agg", "pdf", "svg"))):
        import_module(f"matplotlib.{name}")


@contextmanager
def style() -> Iterator[None]:
    """Draw and save in the report's style."""
    from matplotlib import style

    with style.context(asset("figures", "style.mplstyle")):
        yield


def figure(height_in: float, stamp: str) -> "Figure":
    """Return an empty figure of the document's width; ``stamp`` is printed below it."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(WIDTH_IN, height_in))
    strip = STAMP_IN / height_in
    drawn.set_layout_engine("constrained", rect=(0, strip, 1, 1 - strip))
    drawn.text(0.995, 0.1 * strip, stamp, fontsize=6, color="#666666", ha="right")
    return drawn


def set_log_scale(axes: "Axes") -> None:
    """Use a logarithmic vertical axis; with plain numbers where it spans few decades."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high < 300 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())


def set_narrow_log_scale(axes: "Axes") -> None:
    """Use a logarithmic vertical axis for values of less than a decade, with plain numbers."""
    from matplotlib.ticker import MaxNLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def share_legend(drawn: "FigureBase", panels: Iterable["Axes"]) -> None:
    """Put one legend for several panels above them, widest first."""
    handles = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    labels = sorted(handles, reverse=True)
    if labels:
        shown = [handles[label] for label in labels]
        rows = -(-sum(map(len, labels)) // LEGEND_LINE)
        columns = -(-len(labels) // rows)
        drawn.legend(shown, labels, loc="outside upper right", ncols=columns)


def save(
    drawn: "Figure",
    path: Path,
    title: str = "",
    suffixes: Collection[str] = SUFFIXES,
    about: str = "",
) -> list[Path]:
    """Write ``drawn`` as PDF, PNG and SVG beside each other; return their paths.

    All get the places of one layout, which takes most of the time.

    Args:
        drawn: What is written.
        path: Of the files, any suffix.
        title: What the figure shows, for those who cannot see it.
        suffixes: Of the files that are wanted.
        about: How to read it, for the same.
    """
    from matplotlib.text import Text

    for text in drawn.findobj(Text):
        if "$" in text.get_text() and r"\mathdefault" not in text.get_text():
            text.set_parse_math(False)  # a dollar in a title is a dollar
    if (engine := drawn.get_layout_engine()) is not None:
        engine.execute(drawn)
        drawn.set_layout_engine(None)  # with any, "none" too, each format is drawn twice
    told = thinned(points(drawn))
    path.parent.mkdir(parents=True, exist_ok=True)
    paths = []
    for suffix in suffixes:
        content = BytesIO()
        drawn.savefig(content, format=suffix, metadata=_NO_DATES[suffix])
        data = content.getvalue()
        if suffix == "svg":
            data = inlined(data.decode(), path.stem, title or path.stem, told, about).encode()
        paths.append(path.with_suffix(f".{suffix}"))
        write_bytes(paths[-1], data)
    return paths


def say_nothing_to_show(axes: "Axes", reason: str) -> None:
    """Say in the middle of an empty panel why it is empty, whatever becomes of its axes."""
    axes.set_axis_off()
    axes.text(
        0.5,
        0.5,
        reason,
        transform=axes.transAxes,
        ha="center",
        va="center",
        color="#666666",
        wrap=True,
    )
