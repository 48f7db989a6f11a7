"""Training curves on the held-out split: the headline of a task, epoch by epoch.

Losses of training do not compare where every bit-width takes a step of its own: the later ones see
a batch that was trained on before.
"""

from typing import TYPE_CHECKING

from bitswitch.report.collect.frames import Frames
from bitswitch.report.collect.headline import label
from bitswitch.report.figures import drawing
from bitswitch.report.figures.gradient_figures import NOTHING, Study
from bitswitch.report.figures.kind import PerNetwork

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 2
"""Panels side by side."""

STYLES = ("-", "--", "-.", ":")

CAPTION = (
    "Each panel is a bit-width, each line a row of the table; mean over all seeds, collapsed ones "
    "too; shaded: one standard deviation; grey dots: a network that knows nothing, where it is in "
    "sight. Rows that no step trains have no curve."
)


def draw(frames: Frames, experiment: str, network: str) -> "Figure":
    """Return the figure of one network."""
    study = Study.of(frames, experiment, network)
    widths = sorted(set(map(int, study.curves.bits)), reverse=True) or [0]
    rows = -(-len(widths) // COLUMNS)
    figure = drawing.figure(0.7 + 2.0 * rows, study.stamp)
    grid = figure.subplots(rows, COLUMNS, sharex=True, squeeze=False)
    panels = list(grid.flat)
    for axes, bits in zip(panels, widths, strict=False):
        _draw_panel(axes, study, bits)
    for axes in panels[len(widths) :]:
        axes.set_axis_off()
    for row in grid:
        row[0].set_ylabel(f"held-out {label(study.headline.metric)}")
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    handles = {
        title: handle
        for axes in panels
        for handle, title in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if handles:
        figure.legend(handles.values(), handles, loc="outside upper center", ncols=COLUMNS)
    return figure


def _draw_panel(axes: "Axes", study: Study, bits: int) -> None:
    """Draw one line per variant that was trained at a bit-width."""
    metric = study.headline.metric
    for position, (variant, title) in enumerate(study.variants.items()):
        found = study.curve(variant, bits, "held_out_headline")
        found = found[found["mean"].notna()]
        if found.empty or not study.is_trained(variant):
            continue
        look = f"C{position}"
        style = STYLES[position % len(STYLES)]
        axes.plot(found.number, found["mean"], style, color=look, marker=".", label=title)
        axes.fill_between(found.number, found.low, found.high, color=look, alpha=0.15, linewidth=0)
    if not axes.has_data():
        drawing.say_nothing_to_show(axes, NOTHING)
        return
    axes.set_title(f"{bits} bits")
    axes.locator_params(axis="x", integer=True)
    if metric.scale == "log":
        drawing.set_narrow_log_scale(axes)
    _draw_chance(axes, study.headline.chance)


def _draw_chance(axes: "Axes", chance: float | None) -> None:
    """Draw the headline of a network that knows nothing, if it lies within the panel."""
    low, high = axes.get_ylim()
    if chance is not None and low <= chance <= high:
        axes.axhline(chance, color="#999999", linestyle=":", linewidth=0.8)


KIND = PerNetwork("figure-held-out-curves", "Held-out curves in training", CAPTION, draw)
