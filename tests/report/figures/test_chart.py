"""Tests of ``bitswitch.report.figures.chart``."""

import pytest

from bitswitch.report.figures.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, chart


def test_curves_lie_within_the_axes_and_say_their_values():
    drawn = chart("loss", {2: [(1, 0.9), (2, 0.7)], 8: [(1, 0.2), (2, 0.1234)], 4: []})
    assert [line.label for line in drawn.lines] == ["8 bits", "2 bits"]
    assert drawn.lines[0].spots[1].text == "8 bits · epoch 2 · 0.1234"
    for line in drawn.lines:
        for spot in line.spots:
            assert LEFT < spot.x < WIDTH - RIGHT
            assert TOP < spot.y < HEIGHT - BOTTOM
    high, low = drawn.lines[1].spots
    assert high.x < low.x
    assert high.y < low.y
    assert [tick.text for tick in drawn.across] == ["1", "2"]
    steps = [one.at - other.at for one, other in zip(drawn.up, drawn.up[1:], strict=False)]
    assert steps == pytest.approx([steps[0]] * len(steps))


def test_one_value_is_drawn_and_none_is_not():
    assert len(chart("loss", {8: [(1, 2.0)]}).lines[0].spots) == 1
    assert chart("loss", {8: []}) is None
