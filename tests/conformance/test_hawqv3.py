"""Search ``hawq-v2`` finds the policies of ResNet-18 that HAWQ-V3 has published."""

from pathlib import Path

import pandas as pd
import pytest

from bitswitch.contracts.sensitivity import Score, Scores
from bitswitch.costs import Constraint, CostModel
from bitswitch.plugins import registry
from bitswitch.report.analysis import objective_sign
from tests.searches.exact_problems import problem, total

ROWS = objective_sign.sensitivities()
POLICIES = pd.read_csv(Path(__file__).with_name("hawqv3_policies.csv"), index_col="layer")
BITSET = (8, 4)


def scores():
    return Scores(
        tuple(
            Score(str(layer), "layer", bits, row.mean_trace * row[f"error_{bits}bit"])
            for layer, row in ROWS.iterrows()
            for bits in BITSET
        )
    )


def costs():
    latencies = {
        (str(layer), bits, bits): row[f"latency_{bits}bit_ms"]
        for layer, row in ROWS.iterrows()
        for bits in BITSET
    }
    return CostModel(objective_sign.cost_model(ROWS).shapes, latencies=latencies)


@pytest.mark.parametrize("budget", POLICIES.columns)
def test_the_published_policy_is_found(budget):
    cost, share = budget.split("_")
    model = costs()
    narrow, wide = model.uniform(cost, 4), model.uniform(cost, 8)
    limit = Constraint(cost, narrow + float(share) * (wide - narrow))
    one = problem(model, limit, scores(), BITSET)
    published = {layer: (bits, bits) for layer, bits in POLICIES[budget].items()}
    assert one.allows(published)
    (found,) = registry.create("searches", "hawq-v2", {"share_shortcut": True}).search(one)
    assert found.objective == pytest.approx(total(one.scores.of_policy, published), rel=1e-12)
    assert found.policy == published
    (free,) = registry.create("searches", "hawq-v2", {}).search(one)
    assert free.objective <= found.objective * (1 + 1e-12)
