"""Tests of ``bitswitch.report.figures.hasb_figures``."""

import pytest

from bitswitch.report.collect.frames import Frames
from bitswitch.report.figures import hasb_figures


@pytest.fixture
def frames(mixed_frames: Frames) -> Frames:
    return mixed_frames


def test_figure_4_has_its_three_panels(frames: Frames):
    figure = hasb_figures.draw_hasb(frames, "hmt", "resnet20")
    left, middle, right = figure.axes
    heights = {round(bar.get_height(), 3) for bar in left.patches}
    assert heights == {0.25, 0.1, 0.2, 0.3, 0.4}
    assert middle.get_yscale() == "log"
    points = {line.get_label(): line.get_xydata() for line in right.lines}
    assert len(points["sub-nets"]) == 2 * 3
    assert points["one bit-width"][:, 0].tolist() == [2, 2]  # within every budget, a seed each
    assert figure.texts[0].get_text().startswith("ResNet-20 · suite tiny")


def test_layers_from_the_mean_on_are_sensitive(frames: Frames):
    middle = hasb_figures.draw_hasb(frames, "hmt", "resnet20").axes[1]
    by_kind = {bars.get_label(): bars.lines[0].get_xdata() for bars in middle.containers}
    assert list(by_kind["sensitive"]) == [0]
    assert list(by_kind["insensitive"]) == [1, 2, 3]


def test_draws_follow_from_options_and_traces(frames: Frames):
    printed, mean, limit, even = hasb_figures.draws(frames, "limited-share", "resnet20")
    assert (printed.share, printed.tilt) == (0.25, 0.0)
    assert printed.mean == pytest.approx(0.75 * 5 + 0.25 * 6)
    assert mean.mean == pytest.approx(4.0)
    assert mean.tilt < 0
    assert limit.share == 0.25
    assert (even.share, even.mean) == (0.0, 5.0)


def test_every_draw_has_a_panel(frames: Frames):
    figure = hasb_figures.draw_draws(frames, "limited-share", "resnet20")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["as printed", "mean 4", "at most 25 %", "even"]
    assert "mean 4.00 bits" in figure.axes[1].get_xlabel()
    for axes in figure.axes:
        total = sum(bar.get_height() for bar in axes.patches)
        assert total == pytest.approx(1.0 if axes is figure.axes[3] else 2.0)
