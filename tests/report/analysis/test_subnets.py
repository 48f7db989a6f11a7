"""Tests of ``bitswitch.report.analysis.subnets``."""

import pandas as pd
import pytest

from bitswitch.report.analysis import subnets
from bitswitch.report.collect.frames import Frames
from tests.report.conftest import LAYERS


@pytest.fixture
def frames(mixed_frames: Frames) -> Frames:
    return mixed_frames


def test_there_is_one_row_per_seed_search_and_budget(frames: Frames):
    found = subnets.of_experiment(frames, "search-comparison")
    counts = found.groupby("variant", sort=False).size().to_dict()
    assert counts == {"ilp": 2 * 2, "random": 2 * 2 * 2, "greedy": 2 * 2}
    assert set(found.status) == {"complete"}
    keys = ["variant", "seed", "search_seed", "budget"]
    assert not found.duplicated(keys).any()


def test_rows_hold_accuracy_costs_and_effort(frames: Frames):
    found = subnets.of_experiment(frames, "search-comparison")
    row = found[(found.variant == "ilp") & (found.budget == "average-bits-4")].iloc[0]
    assert row.headline_retrained == pytest.approx(row.headline + 0.5)
    assert row.held_out_headline == row.headline
    assert row.average_bits <= 4
    assert (row.search_time_s, row.scoring_time_s, row.evaluations) == (1.5, 2.5, 0)
    assert (row.score_training_time_s, row.retraining_time_s) == (0, 4)
    assert row.total_time_s == 2.5 + 1.5 + 4
    assert row.images == 1000
    assert found[found.variant == "greedy"].headline_retrained.isna().all()


def test_sub_nets_count_once_for_each_network_that_was_trained(frames: Frames):
    found = subnets.of_experiment(frames, "search-comparison")
    rows = found[(found.variant == "random") & (found.budget == "average-bits-4")]
    metric = frames.headlines[rows.network.iloc[0]].metric
    sample = subnets.sample_of(rows, "headline", metric)
    assert (len(sample.values), len(sample.networks)) == (4, 2)
    assert sample.networks == pytest.approx(rows.groupby("seed").headline.mean().tolist())


def test_layers_stand_from_the_input(frames: Frames):
    row = subnets.of_experiment(frames, "fronts").iloc[0]
    layers = subnets.layers_of(frames, row.search, row.budget)
    assert layers.layer.tolist() == list(LAYERS)
    assert layers.weight_bits.mean() == row.average_bits


def test_operands_are_spelled_apart_where_they_differ():
    layers = pd.DataFrame({"weight_bits": [8, 4, 2], "activation_bits": [8, 6, 2]})
    assert subnets.spell(layers) == "8 4/6 2"


def test_single_bit_widths_are_the_widest_within_the_budgets_tested_alike(frames: Frames):
    uniform = subnets.uniform_of(frames, "fronts")
    narrow = uniform[
        (uniform.bitset == "{4,3,2}") & (uniform.variant == "hasb") & (uniform.seed == 0)
    ]
    assert narrow.bits.tolist() == [2, 3]  # budgets of 2.5, 3 and 3.5 bits
    found = subnets.of_experiment(frames, "fronts")
    rows = found[(found.bitset == "{4,3,2}") & (found.variant == "hasb") & (found.seed == 0)]
    assert narrow.headline.tolist() == rows.headline_uniform.tolist()[:2]
    assert set(uniform.variant) == {"hasb", "uniform"}
