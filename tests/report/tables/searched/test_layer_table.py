"""Tests of ``bitswitch.report.tables.searched.layer_table``."""

from itertools import combinations
from math import hypot

import pandas as pd
import pytest

from bitswitch.contracts.metric import binomial_noise
from bitswitch.report.analysis import subnets
from bitswitch.report.collect.frames import Frames
from bitswitch.report.tables.searched import layer_table
from tests.report.conftest import TOP1


@pytest.fixture
def frames(mixed_frames: Frames) -> Frames:
    return mixed_frames


def test_sub_nets_are_listed_layer_by_layer(frames: Frames):
    section = layer_table.build(frames, "searched-layers", "t").sections[0]
    assert [line.kind for line in section.lines] == ["ILP", "random", "greedy"] * 2
    first = section.lines[0].entries
    bits = [int(text) for text in first[4].text.split()]
    assert f"{sum(bits) / len(bits):.2f}" == first[0].text
    assert first[4].span == 4
    row = subnets.of_experiment(frames, "searched-layers").iloc[0]
    assert (first[3].text, first[3].below) == (f"{row.headline_uniform:.2f}", "w4a4")


def test_the_widest_pair_is_that_of_all_pairs(frames: Frames):
    found = subnets.of_experiment(frames, "searched-layers")
    rows = found[(found.budget == "average-bits-4") & (found.seed == 0)]
    pair = layer_table.widest_pair(frames, rows, "average_bits", TOP1)
    gaps = [
        abs(one.headline - other.headline)
        for (_, one), (_, other) in combinations(rows.iterrows(), 2)
        if abs(one.average_bits - other.average_bits) <= 0.01 * 4
    ]
    assert pair is not None
    assert pair.better["headline"] - pair.worse["headline"] == pytest.approx(max(gaps))
    assert pair.differing > 0


def test_the_same_sub_net_found_twice_is_no_pair(frames: Frames):
    found = subnets.of_experiment(frames, "searched-layers")
    row = found[found.variant == "ilp"].head(1)
    assert layer_table.widest_pair(frames, pd.concat([row, row]), "average_bits", TOP1) is None


def test_other_costs_are_no_pair(frames: Frames):
    found = subnets.of_experiment(frames, "searched-layers")
    rows = found[(found.budget == "average-bits-4") & (found.seed == 0)].copy()
    rows["average_bits"] = range(1, len(rows) + 1)
    assert layer_table.widest_pair(frames, rows, "average_bits", TOP1) is None


def test_differences_beyond_the_noise_are_bold(frames: Frames):
    section = layer_table.build(frames, "searched-layers", "t").sections[1]
    for line in section.lines:
        one, other, difference, noise = (entry.text for entry in line.entries[3:])
        expected = hypot(binomial_noise(float(one), 1000), binomial_noise(float(other), 1000))
        assert noise == f"{expected:.2f}"
        assert line.entries[5].bold == (float(difference) > expected)
