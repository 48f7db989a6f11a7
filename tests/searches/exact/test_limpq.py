"""Tests of ``bitswitch.searches.exact.limpq``."""

import numpy as np
import pytest

from bitswitch.contracts.sensitivity import Scores
from bitswitch.costs import Constraint
from bitswitch.errors import InfeasibleBudgetError, SpecError
from bitswitch.plugins import registry
from bitswitch.searches.exact.limpq import outliers
from tests.searches.exact_problems import (
    cost_model,
    layer_scores,
    policies,
    problem,
    scores_by_bits,
)

BITSET = (4, 3, 2)
SIZES, MACS = [30, 500, 70], [40, 10, 25]


def indicators(seed):
    """Return importances of weights and inputs [layers, bit-widths], larger at fewer bits."""
    draw = np.random.default_rng(seed)
    return [np.sort(draw.lognormal(0, 1, (3, 3)), axis=1) for _ in range(2)]


def instance(weights, inputs, limit, tied=False):
    rows = scores_by_bits(weights, BITSET, "weight") + scores_by_bits(inputs, BITSET, "activation")
    return problem(cost_model(SIZES, MACS), limit, Scores(rows), BITSET, tied)


def search(one, **options):
    return registry.create("searches", "limpq", options).search(one)


def sums(one, weights, inputs, alpha):
    """Return the objective of every policy, computed from the tables: inputs + alpha weights."""
    for policy in policies(one):
        pairs = [(BITSET.index(w), BITSET.index(a)) for w, a in policy.values()]
        parts = (inputs[i, a] + alpha * weights[i, w] for i, (w, a) in enumerate(pairs))
        yield policy, sum(parts)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("options", "alpha"), [({}, 2.0), ({"alpha": 0.5}, 0.5)])
def test_the_sum_of_importances_is_the_least_within_the_bitops(tied, options, alpha):
    for seed in range(5):
        weights, inputs = indicators(seed)
        one = instance(weights, inputs, Constraint("bitops", 75 * 3 * 3.5), tied)
        (found,) = search(one, **options)
        best = min(v for p, v in sums(one, weights, inputs, alpha) if one.allows(p))
        assert one.allows(found.policy)
        assert found.objective == pytest.approx(best, rel=1e-9)


def test_a_compression_holds_besides_the_bitops():
    weights, inputs = indicators(3)
    one = instance(weights, inputs, Constraint("bitops", 75 * 16.0))
    size = Constraint("size", 32 * 600 / 11.0)
    (found,) = search(one, compression=11.0)
    fits = [v for p, v in sums(one, weights, inputs, 2.0) if size.allows(one.costs, p)]
    assert size.allows(one.costs, found.policy)
    assert found.objective == pytest.approx(min(fits))
    assert found.objective > search(one)[0].objective


def test_a_compression_that_no_policy_has_is_named():
    weights, inputs = indicators(3)
    one = instance(weights, inputs, Constraint("bitops", 75 * 16.0))
    with pytest.raises(InfeasibleBudgetError, match="No policy has size") as caught:
        search(one, compression=30.0)
    assert caught.value.nearest == 600 * 2 + 3 * 32


def test_an_outlier_is_what_matters_less_than_the_next_wider_bit_width():
    weights = np.array([[1.0, 2.0, 3.0], [1.0, 0.5, 0.7], [1.0, 2.0, 1.5]])
    inputs = np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    one = instance(weights, inputs, Constraint("bitops", 75 * 9.0))
    expected = {("b", "weight", 3), ("c", "weight", 2), ("c", "activation", 3)}
    expected |= {("c", "activation", 2)}
    assert outliers(one.scores, one.layers, BITSET) == expected


def test_outliers_are_not_chosen_unless_they_are_kept():
    weights = np.array([[0.1, 0.2, 0.01]] * 3)
    inputs = np.array([[0.1, 0.2, 0.3]] * 3)
    one = instance(weights, inputs, Constraint("bitops", 75 * 16.0))
    (removed,), (kept,) = search(one), search(one, outliers="keep")
    assert {weight for weight, _ in removed.policy.values()} == {4}
    assert {weight for weight, _ in kept.policy.values()} == {2}


def test_scores_of_whole_layers_are_refused():
    one = problem(cost_model(SIZES), Constraint("bitops", 1e5), layer_scores([1.0] * 3), BITSET)
    with pytest.raises(SpecError, match="step-size"):
        search(one)
