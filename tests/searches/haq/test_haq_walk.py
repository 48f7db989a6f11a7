from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.costs import Constraint, CostModel
from bitswitch.searches.haq.haq_walk import Walk, clamped, features
from bitswitch.searches.space import Space
from tests.searches.exact_problems import cost_model, problem, shape

CONV = shape("conv", weights=288, macs=1000)._replace(
    in_channels=8, out_channels=16, kernel=3, stride=2, inputs=8 * 49
)
DEPTHWISE = shape("depthwise", weights=144, macs=500)._replace(
    in_channels=16, out_channels=16, kernel=3, stride=1, groups=16, inputs=16 * 16
)
LINEAR = shape("linear", weights=160, macs=160)._replace(
    kind="linear", in_channels=16, out_channels=10, kernel=1, stride=1, inputs=16
)
SHAPES = [CONV, DEPTHWISE, LINEAR]
BITSET = (8, 6, 4, 2)


def space(tied=True, at_most=4.0, bitset=BITSET):
    return Space.of(
        problem(CostModel(SHAPES), Constraint("average-bits", at_most), tied=tied, bitset=bitset)
    )


def walk(tied=True, bitset=BITSET, **options):
    return Walk(SHAPES, space(tied, bitset=bitset), **options)


RAW = [
    # depthwise, in, out, stride, kernel, weights, pixels, position
    [0, 8, 16, 2, 3, 288, 49, 0],
    [1, 16, 16, 1, 3, 144, 16, 1],
    [0, 16, 10, 0, 1, 160, 1, 2],
]


def test_layers_are_described_by_eight_features_scaled_over_the_layers():
    found = features(SHAPES)
    for column in range(8):
        values = [row[column] for row in RAW]
        low, high = min(values), max(values)
        expected = [(value - low) / (high - low) for value in values]
        assert found[:, column].tolist() == pytest.approx(expected)


def test_a_feature_that_all_layers_share_is_kept_as_it_is():
    same = [CONV, CONV._replace(name="other", stride=1)]
    assert features(same)[:, 4].tolist() == [3, 3]
    assert features(same)[:, 3].tolist() == [1, 0]


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8])
def test_contiguous_bit_widths_get_the_published_shares_of_actions(bits):
    one = walk(bitset=(8, 7, 6, 5, 4, 3, 2))
    for step in range(1, 100):
        action = step / 100
        if round(7 * action + 2 - 0.5) == bits and (7 * action) % 1 > 1e-6:
            assert one.chosen(action) == bits


@pytest.mark.parametrize(("action", "bits"), [(0, 2), (0.24, 2), (0.26, 4), (0.76, 8), (1, 8)])
def test_all_bit_widths_have_equal_shares_of_actions(action, bits):
    assert walk().chosen(action) == bits


@pytest.mark.parametrize("bits", BITSET)
def test_the_action_of_a_bit_width_chooses_it(bits):
    one = walk()
    assert one.chosen(one.action(bits)) == bits


def test_states_add_the_choice_before_to_a_layers_features():
    one = walk()
    assert one.steps == 3
    assert one.width == 9
    assert torch.equal(one.state(0, [])[:8], one.features[0])
    assert one.state(0, [])[8] == 1
    assert one.state(1, [6])[8] == 6 / 8
    assert one.state(2, [6, 2])[8] == 2 / 8
    raw = walk(previous="bits")
    assert [raw.state(step, [6, 2])[8] for step in range(3)] == [4, 6, 2]


def test_weights_come_before_inputs_and_states_tell_them_apart():
    one = walk(tied=False)
    assert one.steps == 6
    assert one.width == 10
    vector = [8, 6, 4, 2, 8]
    assert [float(one.state(step, vector)[9]) for step in range(6)] == [1, 0, 1, 0, 1, 0]
    assert [one.state(step, vector)[8] * 8 for step in range(1, 6)] == vector
    for step in range(6):
        assert torch.equal(one.state(step, vector)[:8], one.features[step // 2])


def test_as_published_the_flag_says_what_was_chosen_before():
    one = walk(tied=False, flag="previous")
    vector = [8, 6, 4, 2, 8]
    assert [float(one.state(step, vector)[9]) for step in range(6)] == [1, 1, 0, 1, 0, 1]


def test_as_published_the_first_state_may_tell_of_the_episode_before():
    one = walk(tied=False)
    one.leaked = 2
    assert one.state(0, [])[8] == 2 / 8


def reference(vector, bitset, cost, target):
    """The public code's loop: from the last to the first, until the budget is met."""
    vector = list(vector)
    while cost(vector) > target:
        for i in reversed(range(len(vector))):
            if vector[i] > min(bitset):
                vector[i] = bitset[bitset.index(vector[i]) + 1]
            if cost(vector) <= target:
                break
    return tuple(vector)


@given(
    vector=st.lists(st.sampled_from(BITSET), min_size=3, max_size=3),
    at_most=st.floats(2, 8),
)
def test_the_budget_lowers_last_choices_first(vector, at_most):
    found = clamped(tuple(vector), space(at_most=at_most))
    expected = reference(vector, BITSET, lambda v: sum(v) / 3, at_most * (1 + 1e-9))
    assert found == expected


@given(
    vector=st.lists(st.sampled_from(BITSET), min_size=6, max_size=6),
    share=st.floats(0.07, 1),
)
def test_inputs_are_lowered_before_the_weights_of_their_layer(vector, share):
    costs = CostModel(SHAPES)
    limit = Constraint("bitops", share * costs.uniform("bitops", 8))
    found = clamped(tuple(vector), Space.of(problem(costs, limit, tied=False)))

    def cost(v):
        pairs = zip(SHAPES, v[::2], v[1::2], strict=True)
        return sum(one.macs * w * a for one, w, a in pairs)

    assert found == reference(vector, BITSET, cost, limit.value * (1 + 1e-9))


def test_what_fits_stays():
    assert clamped((4, 4, 4), space()) == (4, 4, 4)


def test_the_cheapest_policy_is_left_where_narrow_layers_are_slow():
    costs = cost_model(weights=[1, 1])
    names = [one.name for one in costs.layers]
    latencies = {(name, b, b): 9.0 - b for name in names for b in BITSET}
    one = problem(replace(costs, latencies=latencies), Constraint("latency", 2.5))
    assert clamped((2, 2), Space.of(one)) == (8, 8)
