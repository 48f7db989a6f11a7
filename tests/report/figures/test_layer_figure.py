"""Tests of ``bitswitch.report.figures.layer_figure``."""

import dataclasses

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from bitswitch.report.analysis import subnets
from bitswitch.report.collect.frames import Frames
from bitswitch.report.figures import layer_figure
from tests.report.conftest import LAYERS


@pytest.fixture
def frames(mixed_frames: Frames) -> Frames:
    return mixed_frames


def test_every_budget_has_a_panel_with_one_row_per_search(frames: Frames):
    shown = layer_figure.panels(frames, "searched-layers", "resnet20")
    assert [panel.title for panel in shown] == ["average bits ≤ 4", "BitOps ≤ w6a6"]
    for panel in shown:
        assert panel.layers == list(LAYERS)
        assert [row.title for row in panel.rows] == ["ILP", "random", "greedy"]


def test_rows_are_those_of_the_first_seeds(frames: Frames):
    found = subnets.of_experiment(frames, "searched-layers")
    found = found[(found.variant == "random") & (found.seed == 0) & (found.search_seed == 0)]
    row = layer_figure.panels(frames, "searched-layers", "resnet20")[0].rows[1]
    layers = subnets.layers_of(frames, found.search.iloc[0], "average-bits-4")
    assert row.bits == layers.weight_bits.tolist()
    assert row.found == f"{found.headline.iloc[0]:.2f} %"


def test_operands_that_differ_have_a_row_each(frames: Frames):
    layers = frames.policy_layers.assign(activation_bits=8)
    rows = layer_figure.panels(
        dataclasses.replace(frames, policy_layers=layers), "searched-layers", "resnet20"
    )[0].rows
    assert [row.title for row in rows[:2]] == ["ILP, w", "ILP, a"]
    assert rows[1].bits == [8, 8, 8, 8]


def luminance(colour) -> float:
    parts = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour]
    return float(np.dot((0.2126, 0.7152, 0.0722), parts))


@pytest.mark.parametrize("bits", [8, 7, 6, 4, 3, 2])
def test_numbers_stand_out_from_the_colour_below_them_on_any_page(bits: int):
    ink, shade = luminance(to_rgb(layer_figure.INK)), luminance(layer_figure._shade(bits))
    assert (shade + 0.05) / (ink + 0.05) >= 4.5


def test_the_figure_names_layers_and_suite(frames: Frames):
    figure = layer_figure.draw(frames, "searched-layers", "resnet20")
    assert [text.get_text() for text in figure.axes[-1].get_xticklabels()] == list(LAYERS)
    assert figure.texts[0].get_text().startswith("ResNet-20 · suite tiny")
    (legend,) = figure.legends
    assert legend.get_texts()[0].get_text() == "8 bits"
