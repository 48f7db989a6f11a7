"""Which layer got which bit-width: the sub-nets of an experiment as rows of colours."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from bitswitch.report.analysis import budgets, subnets
from bitswitch.report.analysis.origin import network_stamp
from bitswitch.report.collect.frames import Frames
from bitswitch.report.figures import drawing
from bitswitch.report.figures.gradient_figures import NAMED_LAYERS, NOTHING
from bitswitch.report.figures.kind import PerNetwork

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_IN, PANEL_IN, REST_IN = 0.17, 0.4, 0.95
"""Height of a row, of what surrounds a panel, and of the names of layers, inches."""

SHADE = 0.75
"""Of a colour on white."""

INK = "#111111"
"""Of numbers on a colour: black is what follows the page, which may be dark."""

CAPTION = (
    "Bit-width of every layer from the input, one row per sub-net, of the first training seed and "
    "the first seed of each search; on the right what it reaches on the test split, or that it is "
    "guessing. Where weights and inputs of a layer differ, w and a tell their rows apart."
)


class Row(NamedTuple):
    """One sub-net, or one operand of it."""

    title: str
    bits: list[int]
    """Layer by layer."""
    found: str
    """The headline, or that it is that of guessing."""


class Panel(NamedTuple):
    """The sub-nets within one budget."""

    title: str
    layers: list[str]
    rows: list[Row]


def panels(frames: Frames, experiment: str, network: str) -> list[Panel]:
    """Return one panel per bit set and budget of a network."""
    found = subnets.of_experiment(frames, experiment)
    found = found[(found.network == network) & (found.status == "complete")]
    found = found[found.seed == found.seed.min()]
    found = found.drop_duplicates(["bitset", "variant", "budget"])
    named = budgets.of_experiment(frames, experiment)
    several = found.bitset.nunique() > 1
    shown = []
    for bitset, of_bitset in found.groupby("bitset", sort=False):
        for name in [name for name in named if name in set(of_bitset.budget)]:
            within = of_bitset[of_bitset.budget == name]
            layers = subnets.layers_of(frames, within.search.iloc[0], name).layer.tolist()
            rows = [row for _, one in within.iterrows() for row in _rows(frames, one)]
            title = budgets.title(named[name])
            shown.append(Panel(f"{bitset}, {title}" if several else title, layers, rows))
    return shown


def _rows(frames: Frames, found: "pd.Series[str]") -> Iterator[Row]:
    """Yield the row of a sub-net, or one per operand where they differ."""
    layers = subnets.layers_of(frames, found["search"], found["budget"])
    title = frames.suite.experiments[found["experiment"]].variants[found["variant"]].title
    metric = frames.headlines[found["network"]].metric
    value = float(found["headline"])
    text = metric.text(value) if value == value else "guessing"
    weights, inputs = layers.weight_bits.tolist(), layers.activation_bits.tolist()
    if weights == inputs:
        yield Row(title, weights, text)
    else:
        yield Row(f"{title}, w", weights, text)
        yield Row(f"{title}, a", inputs, "")


def draw(frames: Frames, experiment: str, network: str) -> "Figure":
    """Return the figure of one network."""
    shown = panels(frames, experiment, network)
    heights = [PANEL_IN + ROW_IN * len(panel.rows) for panel in shown] or [1.0]
    figure = drawing.figure(REST_IN + sum(heights), network_stamp(frames, experiment, network))
    every = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    if not shown:
        drawing.say_nothing_to_show(every[0], NOTHING)
        return figure
    for axes, panel in zip(every, shown, strict=True):
        _draw_panel(axes, panel)
    for axes in every[:-1]:
        axes.set_xticklabels([])
    _add_legend(figure, shown)
    return figure


def _draw_panel(axes: "Axes", panel: Panel) -> None:
    """Draw one row of coloured cells per sub-net, its bit-widths printed in them."""
    axes.imshow([[_shade(bits) for bits in row.bits] for row in panel.rows])
    axes.set_aspect("auto")
    axes.grid(visible=False)
    if len(panel.layers) <= NAMED_LAYERS:
        axes.set_xticks(range(len(panel.layers)), panel.layers, rotation=90, fontsize=5.5)
        for at, row in enumerate(panel.rows):
            for layer, bits in enumerate(row.bits):
                number = axes.text(layer, at, str(bits), ha="center", va="center", color=INK)
                number.set_fontsize(6)
    else:
        axes.set_xlabel("layer, from the input")
    axes.set_yticks(range(len(panel.rows)), [row.title for row in panel.rows])
    axes.set_title(panel.title)
    for at, row in enumerate(panel.rows):
        place = len(panel.layers) - 0.35
        axes.text(place, at, row.found, va="center", fontsize=6.5, clip_on=False)


def _shade(bits: int) -> tuple[float, float, float]:
    """Return the colour of a bit-width, light enough for ``INK`` on it."""
    from matplotlib.colors import to_rgb

    red, green, blue = (1 - SHADE * (1 - part) for part in to_rgb(drawing.colour(bits)))
    return red, green, blue


def _add_legend(figure: "Figure", shown: list[Panel]) -> None:
    """Say which colour is which bit-width."""
    from matplotlib.patches import Patch

    used = sorted({bits for panel in shown for row in panel.rows for bits in row.bits})
    handles = [Patch(color=_shade(b), label=f"{b} bits") for b in used[::-1]]
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))


KIND = PerNetwork(
    "figure-searched-layers", "Bit-widths of the layers of searched sub-nets", CAPTION, draw
)
