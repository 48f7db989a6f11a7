"""Tests of ``bitswitch.report.figures.front_figures``."""

import pytest

from bitswitch.report.analysis import subnets
from bitswitch.report.collect.frames import Frames
from bitswitch.report.figures import front_figures


@pytest.fixture
def frames(mixed_frames: Frames) -> Frames:
    return mixed_frames


def test_every_bit_set_has_a_panel_with_all_variants(frames: Frames):
    figure = front_figures.draw_fronts(frames, "fronts", "resnet20")
    assert [axes.get_title() for axes in figure.axes] == ["{8,6,4,2}", "{4,3,2}"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["HASB", "uniform sampling"]
    assert figure.texts[0].get_text().startswith("ResNet-20 · suite tiny · embedded digits")


def test_fronts_are_means_over_seeds_with_their_spread(frames: Frames):
    found = subnets.of_experiment(frames, "fronts")
    rows = found[(found.variant == "hasb") & (found.bitset == "{4,3,2}")]
    front = front_figures.mean_front(rows)
    assert front.average_bits.is_monotonic_increasing
    narrowest = rows[rows.budget == "average-bits-2.5"].headline
    assert front.headline[0] == pytest.approx(narrowest.mean())
    assert front["std"][0] == pytest.approx(narrowest.std())


def test_several_searches_of_a_network_count_once(frames: Frames):
    found = subnets.of_experiment(frames, "search-comparison")
    rows = found[(found.variant == "random") & (found.budget == "average-bits-4")]
    front = front_figures.mean_front(rows)
    assert front["std"][0] == pytest.approx(rows.groupby("seed").headline.mean().std())
