"""Tests of ``bitswitch.report.tables.searched.layer_table``."""

from itertools import combinations
from math import hypot

import pandas as pd
import pytest

from bitswitch.contracts.metric import binomial_noise
from bitswitch.report.analysis import equal_costs, subnets
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import DASH
from bitswitch.report.tables.searched import layer_table
from tests.report.conftest import TOP1
from tests.report.mixed import kept


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
    pair = equal_costs.widest_of(equal_costs.equal_pairs(frames, rows, "average_bits", TOP1))
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
    assert (
        equal_costs.widest_of(
            equal_costs.equal_pairs(frames, pd.concat([row, row]), "average_bits", TOP1)
        )
        is None
    )


def test_other_costs_are_no_pair(frames: Frames):
    found = subnets.of_experiment(frames, "searched-layers")
    rows = found[(found.budget == "average-bits-4") & (found.seed == 0)].copy()
    rows["average_bits"] = range(1, len(rows) + 1)
    assert (
        equal_costs.widest_of(equal_costs.equal_pairs(frames, rows, "average_bits", TOP1)) is None
    )


def test_differences_beyond_the_noise_are_bold(frames: Frames):
    section = layer_table.build(frames, "searched-layers", "t").sections[1]
    for line in section.lines:
        one, other, difference, noise = (entry.text for entry in line.entries[3:7])
        expected = hypot(binomial_noise(float(one), 1000), binomial_noise(float(other), 1000))
        assert noise == f"{expected:.2f}"
        assert line.entries[5].bold == (float(difference) > expected)


def test_the_widest_pair_is_tested_among_all_pairs_of_its_network(frames: Frames):
    section = layer_table.build(frames, "searched-layers", "t").sections[1]
    assert {line.entries[7].text for line in section.lines} == {DASH}
    found = subnets.of_experiment(frames, "searched-layers")
    known = kept(frames, {"ilp": range(900), "random": range(600, 1000), "greedy": range(890)})
    table = layer_table.build(known, "searched-layers", "t")
    line = table.sections[1].lines[0]
    assert not table.footnotes
    rows = found[(found.budget == "average-bits-4") & (found.seed == 0)]
    pairs = equal_costs.equal_pairs(known, rows, "average_bits", TOP1)
    assert len(pairs) > 1
    assert line.entries[7].text == ("<0.001" if "random" in line.kind else "0.002")
    assert line.entries[7].bold


def test_searches_of_equal_cost_are_compared_over_seeds(frames: Frames):
    known = kept(frames, {"ilp": range(900), "random": range(880), "greedy": range(10, 900)})
    section = layer_table.build(known, "searched-layers", "t").sections[2]
    assert section.title == "ResNet-20, {8,6,4,2}, pairs of searches"
    found = subnets.of_experiment(known, "searched-layers")
    equal = list(
        equal_costs.equal_searches(known, found[found.budget == "average-bits-4"], "average_bits")
    )
    assert [line.kind for line in section.lines][: len(equal)] == [
        " / ".join({"ilp": "ILP"}.get(key, key) for key in (one.variant.iloc[0], o.variant.iloc[0]))
        for one, o, _ in equal
    ]
    for line, (one, other, _) in zip(section.lines, equal, strict=False):
        gap = one.groupby("seed").headline.mean() - other.groupby("seed").headline.mean()
        assert line.entries[3].text == f"{gap.mean():+.2f}".replace("-", "\N{MINUS SIGN}")
        assert line.entries[3].below.endswith("] (2)")


def test_searches_that_found_the_same_sub_nets_are_no_pair(frames: Frames):
    found = subnets.of_experiment(frames, "searched-layers")
    rows = found[(found.variant == "ilp") & (found.budget == "average-bits-4")]
    both = pd.concat([rows, rows.assign(variant="again")])
    assert not list(equal_costs.equal_searches(frames, both, "average_bits"))
