"""Tests of ``bitswitch.searches.exact.hawq_v2``."""

import numpy as np
import pytest
from torch import nn

from bitswitch.contracts.sensitivity import Scores
from bitswitch.costs import Constraint
from bitswitch.nn.blocks import shortcut_leaders
from bitswitch.plugins import registry
from tests.searches.exact_problems import cost_model, policies, problem, scores_by_bits, total

BITSET = (8, 6, 4, 2)


def instance(mean):
    draw = np.random.default_rng(0)
    omegas = draw.lognormal(0, 1, (4, 4)) * 4.0 ** -np.array(BITSET)
    scores = Scores(scores_by_bits(omegas, BITSET))
    return problem(cost_model([3, 50, 7, 20]), Constraint("size", 80 * mean + 4 * 32), scores)


def test_its_policies_are_the_pareto_front_of_loss_and_size():
    one = instance(8)
    points = sorted(
        (one.costs.total("size", policy), total(one.scores.of_policy, policy))
        for policy in policies(one)
    )
    front, best = [], np.inf
    for size, omega in points:
        if omega < best:
            front.append((size, omega))
            best = omega
    for size, omega in front:
        search = registry.create("searches", "hawq-v2", {})
        (found,) = search.search(problem(one.costs, Constraint("size", size), one.scores))
        assert found.objective == pytest.approx(omega)
        assert one.costs.total("size", found.policy) == pytest.approx(size)


def test_a_shortcut_can_share_the_bit_widths_of_its_block():
    one = instance(4)
    names = dict(zip("abcd", ("stem", "1.conv1", "1.conv2", "1.shortcut"), strict=True))
    shapes = [shape._replace(name=names[shape.name]) for shape in one.costs.shapes]
    rows = tuple(row._replace(layer=names[row.layer]) for row in one.scores.rows)
    renamed = problem(type(one.costs)(shapes), one.limit, Scores(rows))
    (found,) = registry.create("searches", "hawq-v2", {"share_shortcut": True}).search(renamed)
    assert found.policy["1.shortcut"] == found.policy["1.conv1"]
    fits = [p for p in policies(renamed) if renamed.allows(p) and p["1.shortcut"] == p["1.conv1"]]
    assert found.objective == pytest.approx(min(total(renamed.scores.of_policy, p) for p in fits))


def test_shortcuts_are_found_in_a_network_that_has_them():
    net = registry.create("models", "resnet8", {}).build(10, 0)
    layers = [name for name, module in net.named_modules() if isinstance(module, nn.Conv2d)]
    blocks = ("stages.1.0", "stages.2.0")
    assert shortcut_leaders(layers) == {f"{block}.shortcut": f"{block}.conv1" for block in blocks}
    assert shortcut_leaders(["shortcut", "conv1"]) == {}
