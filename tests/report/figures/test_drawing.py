"""Tests of ``bitswitch.report.figures.drawing``."""

import pytest
from matplotlib import rcParams
from matplotlib.artist import Artist

from bitswitch.report.figures import drawing


def test_every_bit_width_has_its_own_look():
    looks = {(drawing.colour(bits), drawing.marker(bits)) for bits in (8, 6, 4, 3, 2, 5)}
    assert len(looks) == 6


def test_the_style_needs_no_tex_and_does_not_leak():
    before = rcParams["pdf.fonttype"]
    with drawing.style():
        assert rcParams["text.usetex"] is False
        assert rcParams["pdf.fonttype"] == 42
    assert rcParams["pdf.fonttype"] == before


def test_a_figure_is_as_wide_as_the_text():
    assert drawing.figure(2.0, "stamp").get_size_inches().tolist() == [6.75, 2.0]


def test_narrow_logarithmic_axes_have_plain_numbers():
    axes = drawing.figure(2.0, "stamp").subplots()
    axes.plot([0, 1], [0.02, 1.0])
    drawing.set_log_scale(axes)
    assert axes.get_yscale() == "log"
    assert axes.yaxis.get_major_formatter()(0.05) == "0.05"


def test_the_stamp_is_printed():
    assert [text.get_text() for text in drawing.figure(2.0, "stamp").texts] == ["stamp"]


def test_a_long_legend_takes_more_lines_and_stays_within_the_figure():
    for title, lines in (("w/o ALRS", 1), ("Double Rounding, w/o ALRS", 2)):
        figure = drawing.figure(2.0, "stamp")
        axes = figure.subplots()
        for bits in (8, 6, 4, 2):
            axes.plot([0, 1], label=f"{bits} bits, {title}")
        with drawing.style():
            drawing.share_legend(figure, [axes])
            figure.draw_without_rendering()
        (legend,) = figure.legends
        heights = {round(text.get_window_extent().y0) for text in legend.get_texts()}
        assert len(heights) == lines
        assert legend.get_window_extent().x0 > 0


@pytest.mark.filterwarnings("error")
def test_an_empty_panel_says_so_in_its_middle_whatever_its_axes_span():
    figure = drawing.figure(2.0, "stamp")
    axes = figure.subplots()
    drawing.say_nothing_to_show(axes, "not run yet")
    axes.set(yscale="log", ylim=(1e-9, 1e-6))
    figure.draw_without_rendering()
    (text,) = axes.texts
    said, panel = text.get_window_extent(), axes.bbox
    assert panel.contains(*said.min)
    assert panel.contains(*said.max)
    assert (said.x0 + said.x1) / 2 == pytest.approx((panel.x0 + panel.x1) / 2, abs=1)


def test_each_format_is_drawn_once_in_the_places_of_one_layout(tmp_path):
    class Counter(Artist):
        drawn = 0

        def draw(self, renderer):
            self.drawn += 1

    with drawing.style():
        figure = drawing.figure(2.0, "stamp")
        axes = figure.subplots()
        counter = figure.add_artist(Counter())
        written = drawing.save(figure, tmp_path / "one")
    assert counter.drawn == len(written) == len(drawing.SUFFIXES)
    assert axes.get_position().x1 > 0.95  # without a layout, 0.9
