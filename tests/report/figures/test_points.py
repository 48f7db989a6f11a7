"""Tests of ``bitswitch.report.figures.points``."""

import pytest

from bitswitch.report.figures import drawing
from bitswitch.report.figures.points import MOST, points, thinned


def laid_out(draw):
    figure = drawing.figure(2.0, "stamp")
    axes = figure.subplots()
    draw(axes)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure, axes


def test_every_value_in_sight_is_told_where_it_is():
    def draw(axes):
        axes.plot([1, 2, 3], [10.0, float("nan"), 30.0], label="mine")
        axes.set(xlabel="epoch", ylabel="loss")
        axes.axhline(20.0)

    figure, axes = laid_out(draw)
    first, last = points(figure)
    assert first.text == "mine · epoch 1 · loss 10"
    assert last.text == "mine · epoch 3 · loss 30"
    x, y = axes.transData.transform((3, 30.0))
    assert last.x == pytest.approx(x / figure.bbox.width)
    assert last.y == pytest.approx(1 - y / figure.bbox.height)
    axes.set_ylim(0, 15)
    assert [one.text for one in points(figure)] == [first.text]


def test_bars_say_the_name_of_their_tick():
    def draw(axes):
        axes.bar([0, 1], [4.0, 2.0], label="weights")
        axes.set_xticks([0, 1], ["stem", "head"])
        axes.set_ylabel("bits")

    figure, _ = laid_out(draw)
    assert [one.text for one in points(figure)] == [
        "weights · stem · bits 4",
        "weights · head · bits 2",
    ]


def test_of_long_lines_some_are_told_and_each_once():
    figure, _ = laid_out(lambda axes: [axes.plot(range(1000)) for _ in range(2)])
    found = list(points(figure))
    assert len(found) == 2 * MOST
    assert len(thinned(found)) == MOST
