"""Figure 2: how four methods put weights on a wide and on a narrow grid."""

from typing import TYPE_CHECKING

import numpy as np

from bitswitch.report.analysis.staircases import STAIRCASES
from bitswitch.report.collect.frames import Frames
from bitswitch.report.figures import drawing
from bitswitch.report.figures.kind import Whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE, NARROW = 4, 2
"""Bit-widths shown; wider staircases cannot be told from the diagonal in print."""

TICKS = (-1, 0, 1)

STAMP = "computed from the equations, no data"

CAPTION = (
    f"Weight quantizers at {WIDE} and {NARROW} bits over normalised weights, with the full range "
    "[-1, 1] on every grid. LSQ learns a grid per bit-width. AdaBits truncates the wide code "
    "and Bit-Mixer floors, so their narrow grids lie below the diagonal. Double Rounding rounds "
    "the stored wide code to the nearest narrow one."
)


def draw(frames: Frames, experiment: str) -> "Figure":
    """Return Figure 2; it shows nothing of the experiment but what methods compute."""
    x = np.linspace(-1.1, 1.1, 4401)
    figure = drawing.figure(1.95, STAMP)
    panels = figure.subplots(1, len(STAIRCASES), sharex=True, sharey=True)
    for axes, (title, staircase) in zip(panels, STAIRCASES.items(), strict=True):
        axes.plot(x, x, color="#999999", linewidth=0.7, linestyle=":")
        for bits, width in ((WIDE, 1.0), (NARROW, 1.8)):
            y = staircase(x, WIDE, bits)
            axes.plot(x, y, color=drawing.colour(bits), linewidth=width, label=f"{bits} bits")
        axes.set(title=title, xlabel="weight", xticks=TICKS, yticks=TICKS)
    panels[0].set_ylabel("quantized weight")
    panels[0].legend(loc="upper left")
    return figure


KIND = Whole("figure2", "Figure 2: staircases of four quantizers", CAPTION, draw)
