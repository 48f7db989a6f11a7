"""What every search finds with few evaluations, and in whatever order layers stand."""

from statistics import median

import pytest
import torch

from bitswitch.contracts.sensitivity import Scores
from bitswitch.costs import Constraint
from bitswitch.errors import TooFewEvaluationsError
from bitswitch.plugins import registry

from .exact_problems import layer_scores, scores_by_bits
from .measured_problems import measured_problem

BITSET = (8, 6, 4, 2)
LAYERS = 8
PREDICTING = {
    "fitness": "predictor",
    "generations": 5,
    "population": 10,
    "predictor": {"layers": 1, "width": 16, "epochs": 1, "steps": 10},
}
EVALUATING = [
    ("greedy", {}),
    ("greedy", {"measure": "headline"}),
    ("greedy", {"rule": "scaled"}),
    ("random", {}),
    ("random", {"sampling": "repair"}),
    ("genetic", {}),
    ("genetic", PREDICTING),
    ("haq", {"hidden": 8, "batch": 4, "schedule": "published"}),
    ("ilp", {"candidates": 2}),
    ("limpq", {"candidates": 2}),
]
DETERMINISTIC = [
    ("greedy", {}),
    ("greedy", {"rule": "scaled"}),
    ("greedy", {"measure": "scores"}),
    ("ilp", {}),
    ("ilp", {"candidates": 4}),
    ("hawq-v2", {}),
    ("limpq", {}),
    ("sort", {"rule": "closed-form"}),
    ("uniform", {}),
]
SLOW = ("ilp", "limpq")
"""They find the optimum whatever they may evaluate."""
BY_LAYER = [
    ("sort", {}),
    ("sort", {"by": "weights"}),
    ("ilp", {"objective": "sign-fixed"}),
    ("ilp", {"objective": "as-printed", "budget_kind": "exact"}),
]


def factors_of(seed):
    """Return what a layer's error counts, over two orders of magnitude."""
    return torch.randn(LAYERS, generator=torch.Generator().manual_seed(seed)).exp().pow(2).tolist()


def loss_by(factors):
    """Return a loss that is a sum over layers and falls by four with every bit."""

    def loss(policy):
        return sum(
            factor * 4.0**-weight
            for factor, (weight, _) in zip(factors, policy.values(), strict=True)
        )

    return loss


def by_bits(factors, name):
    """Return exact scores of layers, or of operands for a search that reads those."""
    table = [[factor * 4.0**-bits for bits in BITSET] for factor in factors]
    if name != "limpq":
        return Scores(scores_by_bits(table, BITSET))
    weights = scores_by_bits(table, BITSET, "weight")
    return Scores(weights + scores_by_bits(table, BITSET, "activation"))


def found(name, options, factors, allowed, seed=0, scores=None, weights=(1,) * LAYERS):
    """Return the first policy of a search at 4 bits on average, and what counts evaluations."""
    posed, measured = measured_problem(
        Constraint("average-bits", 4.0),
        loss_by(factors),
        allowed,
        weights,
        seed,
        scores=scores or by_bits(factors, name),
    )
    best, *_ = registry.create("searches", name, options).search(posed)
    return best.policy, measured


@pytest.mark.parametrize("allowed", [0, 1, 2, 3, 9])
@pytest.mark.parametrize(("name", "options"), EVALUATING)
def test_few_evaluations_find_nothing_worse_than_one_bit_width_or_are_refused(
    name, options, allowed
):
    least = registry.create("searches", name, options).least_evaluations(LAYERS)
    if allowed < least and name not in SLOW:
        with pytest.raises(TooFewEvaluationsError, match=f"at least {least} evaluations"):
            found(name, options, factors_of(0), allowed)
        return
    ratios = []
    for seed in range(3 if name in SLOW or options is PREDICTING else 20):
        factors = factors_of(seed)
        policy, measured = found(name, options, factors, allowed, seed)
        assert len(measured.seen) <= allowed
        loss = loss_by(factors)
        ratios.append(loss(policy) / loss(dict.fromkeys(policy, (4, 4))))
    assert median(ratios) <= 1 + 1e-9


@pytest.mark.parametrize(("name", "options"), DETERMINISTIC + BY_LAYER)
def test_layers_in_another_order_get_the_same_bit_widths(name, options):
    generator = torch.Generator().manual_seed(0)
    for seed in range(2):
        factors, order = factors_of(seed), torch.randperm(LAYERS, generator=generator).tolist()
        weights = [10 * 2**k + seed for k in range(LAYERS)]
        policies = []
        for places in (list(range(LAYERS)), order):
            moved = [factors[k] for k in places]
            scores = layer_scores(moved) if (name, options) in BY_LAYER else None
            policy, _ = found(name, options, moved, 1000, 0, scores, [weights[k] for k in places])
            policies.append(dict(zip(places, policy.values(), strict=True)))
        assert policies[0] == policies[1]
