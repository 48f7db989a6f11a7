"""Tests of ``bitswitch.report.figures.staircase_figure``."""

from pathlib import Path

from bitswitch.report.collect.frames import Frames
from bitswitch.report.figures import staircase_figure


def test_four_methods_at_two_bit_widths(folder: Path):
    figure = staircase_figure.draw(Frames.read(folder), "readings")
    titles = [axes.get_title() or axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["LSQ", "AdaBits", "Bit-Mixer", "Double Rounding"]
    for axes in figure.axes:
        wide, narrow = axes.lines[1:]
        assert len(set(narrow.get_ydata())) == 4
        assert len(set(wide.get_ydata())) == 16
