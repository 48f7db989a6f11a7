"""Figures about deployed networks: errors of the second rounding (R6), bytes (R12)."""

from typing import TYPE_CHECKING

import pandas as pd

from bitswitch.report.analysis.origin import stamp
from bitswitch.report.collect.frames import Frames
from bitswitch.report.figures import drawing
from bitswitch.report.figures.gradient_figures import NAMED_LAYERS, NOTHING
from bitswitch.report.figures.kind import PerNetwork, Whole
from bitswitch.report.tables import deployed, rounding_table, storage_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROUNDING_CAPTION = (
    "Layer by layer, mean over seeds. Above: share of codes that would be others if float weights "
    "were rounded once. Below: squared error in percent of the squared weights; solid, rounded "
    "twice; dotted, rounded once; crosses, the part that is clipped."
)
STORAGE_CAPTION = (
    "Bytes in percent of the full-precision network: quantized layers (dark), and the rest (light)."
)
BAR_IN, PANEL_IN = 0.16, 0.45
"""Height of a bar, and of what surrounds those of one network, inches."""


def draw_rounding(frames: Frames, experiment: str, network: str) -> "Figure":
    """Return the figure about the second rounding in one network."""
    places = deployed.places(frames, experiment)
    found = places[places.network == network].merge(frames.rounding, on="run")
    bitsets = list(dict.fromkeys(found.bitset)) or [""]
    title = frames.suite.networks[network].title
    figure = drawing.figure(4.2, f"{title} · {stamp(frames, frames.data_of(found.run))}")
    panels = figure.subplots(2, len(bitsets), sharex="col", sharey="row", squeeze=False)
    for column, bitset in enumerate(bitsets):
        rows = found[found.bitset == bitset]
        above, below = panels[:, column]
        if rows.empty:
            for axes in (above, below):
                drawing.say_nothing_to_show(axes, NOTHING)
            continue
        _draw_errors(above, below, rounding_table.relative(rows))
        above.set_title(bitset)
    if len(found):
        panels[0, 0].set_ylabel("codes that differ (%)")
        panels[1, 0].set_ylabel("squared error (%)")
        drawing.set_log_scale(panels[1, 0])
        drawing.share_legend(figure, panels[1])
    return figure


def _draw_errors(above: "Axes", below: "Axes", rows: pd.DataFrame) -> None:
    """Draw the layers of one bit set, a colour for each bit-width."""
    columns = ["share", "twice", "once", "clipping"]
    widest = rows.bits.max()
    layers = rows[["position", "layer"]].drop_duplicates()
    for key, group in rows.groupby("bits", sort=False):
        bits = int(str(key))
        mean = group.groupby("position")[columns].mean()
        colour, marker = drawing.colour(bits), drawing.marker(bits)
        if bits != widest:
            above.plot(mean.index, mean.share, color=colour, marker=marker)
            below.plot(mean.index, mean.once, color=colour, linestyle=":")
        below.plot(mean.index, mean.twice, color=colour, marker=marker, label=f"{bits} bits")
        clipped = mean.clipping[mean.clipping > 0]
        below.plot(clipped.index, clipped, color=colour, linestyle="", marker="x")
    if len(layers) <= NAMED_LAYERS:
        below.set_xticks(layers.position, layers.layer, rotation=90, fontsize=5.5)
    else:
        below.set_xlabel("layer, from the input")


def draw_storage(frames: Frames, experiment: str) -> "Figure":
    """Return the figure about bytes: a panel for each network, of its first bit set."""
    places = deployed.places(frames, experiment)
    first = places.drop_duplicates("network")
    shown = {
        f"{frames.suite.networks[network].title}, {bitset}": found
        for network, bitset, run in first[["network", "bitset", "run"]].astype(str).to_numpy()
        if (found := storage_table.forms(frames.storage, run))
    }
    heights = [PANEL_IN + BAR_IN * len(found) for found in shown.values()] or [1.0]
    figure = drawing.figure(0.4 + sum(heights), stamp(frames, frames.data_of(places.run)))
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    if not shown:
        drawing.say_nothing_to_show(panels[0], NOTHING)
        return figure
    for axes, (title, found) in zip(panels, shown.items(), strict=True):
        _draw_bars(axes, found)
        axes.set_title(title)
    panels[-1].set_xlabel("% of FP32")
    return figure


def _draw_bars(axes: "Axes", found: list[storage_table.Form]) -> None:
    """Draw one bar per form, from the top."""
    full = (found[0].quantized + found[0].rest) / 100
    titles = [one.title for one in found]
    dark, light = [one.quantized / full for one in found], [one.rest / full for one in found]
    axes.barh(titles, dark, color=drawing.colour(8), alpha=0.8)
    axes.barh(titles, light, left=dark, color=drawing.colour(8), alpha=0.35)
    for at, (one, other) in enumerate(zip(dark, light, strict=True)):
        axes.text(one + other + 0.5, at, f"{one + other:.1f}", va="center", fontsize=6.5)
    axes.invert_yaxis()


ROUNDING = PerNetwork(
    "figure-second-rounding", "Errors of the second rounding", ROUNDING_CAPTION, draw_rounding
)
STORAGE = Whole("figure-storage", "What a network takes", STORAGE_CAPTION, draw_storage)
