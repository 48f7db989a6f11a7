from dataclasses import replace
from math import exp, log

import pytest
import torch

from bitswitch.contracts.card import ExamplePasses, Workload
from bitswitch.costs import Constraint
from bitswitch.errors import InfeasibleBudgetError, SpecError
from bitswitch.searches.dnas.dnas import Dnas
from bitswitch.searches.dnas.mixture import Mixture
from tests.searches.learning_problems import BITSET, counted, trained_network, with_network

QUICK = {"epochs": 6, "learning_rate": 1e-3, "gate_learning_rate": 0.1}


@pytest.fixture(scope="module")
def model():
    return trained_network()


def posed(model, at_most=5.0, cost="average-bits", **options):
    return with_network(model, Constraint(cost, at_most), **options)


def dnas(**options):
    return Dnas(Dnas.Options(**QUICK | options))


@pytest.mark.parametrize("mixture", ["soft", "hard"])
def test_bits_go_where_they_matter(model, mixture):
    first, second = dnas(mixture=mixture, epochs=12).search(posed(model, 3))
    assert first.policy == {"matters": (4, 4), "hardly": (2, 2)}
    assert second.policy == {"matters": (2, 2), "hardly": (4, 4)}


@pytest.mark.parametrize("steps", [None, 3, 99])
def test_its_work_is_what_it_trains_on(model, steps):
    search, seen = dnas(steps_per_epoch=steps), []
    search.search(counted(posed(model), seen))
    extent = Workload(layers=4, epoch_examples=256, batch_size=32)
    assert search.work(extent, evaluations=9) == ExamplePasses(trained=sum(seen))


@pytest.mark.parametrize(("slack", "costs"), [(0.0, {5}), (1 / 6, {4, 5}), (1.0, {2, 3, 4, 5})])
def test_policies_fall_little_short_of_the_budget(model, slack, costs):
    problem = posed(model)
    found = dnas(epochs=2, slack=slack, candidates=20).search(problem)
    assert {problem.costs.total("average-bits", one.policy) for one in found} == costs


def test_a_budget_between_two_costs_takes_what_there_is(model):
    problem = posed(model, 3.9)
    found = dnas(epochs=2, slack=0).search(problem)
    assert all(problem.allows(one.policy) for one in found)


def test_operands_may_have_bit_widths_of_their_own(model):
    problem = posed(model, 3, tied=False)
    found = dnas().search(problem)
    assert all(problem.allows(one.policy) for one in found)
    weight, activation = found[0].policy["matters"]
    assert activation > 2  # inputs are free in a budget on bits of weights
    assert weight in (2, 4)


@pytest.mark.parametrize("loss", ["penalty", "product"])
@pytest.mark.parametrize("cost", ["bitops", "size"])
def test_policies_are_within_any_budget_and_likeliest_first(model, loss, cost):
    limit = posed(model).costs.uniform(cost, 4)
    problem = posed(model, limit, cost)
    found = dnas(loss=loss, epochs=2).search(problem)
    assert all(problem.allows(one.policy) for one in found)
    objectives = [one.objective for one in found]
    assert objectives == sorted(objectives)
    assert min(objectives) > 0
    assert len({tuple(one.policy.items()) for one in found}) == len(found)


def test_the_same_seed_gives_the_same_policies(model):
    one, again, other = (dnas(epochs=2).search(posed(model, seed=s)) for s in (0, 0, 1))
    assert one == again
    assert [c.objective for c in one] != [c.objective for c in other]


def test_the_network_stays_as_it_was(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    dnas(epochs=2).search(posed(model))
    after = model.state_dict()
    assert all(torch.equal(v, after[name]) for name, v in before.items() if torch.is_tensor(v))


def test_the_temperature_falls_as_published_over_ninety_epochs():
    search = Dnas(Dnas.Options())
    for epoch in (0, 1, 50, 89):
        assert search.temperature(epoch) == pytest.approx(5 * exp(-0.025 * epoch))


def test_the_penalty_counts_only_above_the_budget():
    search = Dnas(Dnas.Options(weight=2.0))
    error = torch.tensor(0.7)
    assert float(search.loss(error, torch.tensor(6.0), 4.0)) == pytest.approx(0.7 + 2 * 0.5)
    assert float(search.loss(error, torch.tensor(3.0), 4.0)) == pytest.approx(0.7)


def test_the_published_loss_is_a_product():
    search = Dnas(Dnas.Options(loss="product", weight=0.1, power=0.9))
    found = float(search.loss(torch.tensor(0.7), torch.tensor(1e6), 4.0))
    assert found == pytest.approx(0.7 * 0.1 * log(1e6) ** 0.9)


def noted(monkeypatch):
    """Return a list that fills with (gates have gradients, images) of every pass."""
    passes, forward = [], Mixture.forward

    def note(self, images, gates):
        passes.append((gates.requires_grad, images))
        return forward(self, images, gates)

    monkeypatch.setattr(Mixture, "forward", note)
    return passes


def test_network_and_gates_never_see_the_same_images(model, monkeypatch):
    passes = noted(monkeypatch)
    dnas(epochs=4, warmup=0).search(posed(model, size=16))
    seen = {
        kind: {tuple(row.tolist()) for gates, x in passes if gates == kind for row in x}
        for kind in (False, True)
    }
    assert seen[True]
    assert not seen[True] & seen[False]
    assert len(seen[False]) > 2 * len(seen[True])


def test_the_network_alone_is_trained_at_first(model, monkeypatch):
    passes = noted(monkeypatch)
    dnas(epochs=4, warmup=0.5).search(posed(model, size=16))
    kinds = [kind for kind, _ in passes]
    first = kinds.index(True)
    assert 0.4 * len(kinds) < first < 0.7 * len(kinds)


def test_steps_of_an_epoch_may_be_limited(model, monkeypatch):
    passes = noted(monkeypatch)
    dnas(epochs=4, warmup=0, steps_per_epoch=5).search(posed(model, size=16))
    assert 18 <= len(passes) <= 20


def test_gates_that_are_never_trained_are_an_error(model):
    with pytest.raises(SpecError, match="trains no gates"):
        dnas(epochs=1, steps_per_epoch=1).search(posed(model))


def test_a_training_that_diverges_is_an_error(model):
    with pytest.raises(SpecError, match="diverges"):
        dnas(epochs=3, learning_rate=1e30).search(posed(model))


def test_a_budget_that_nothing_meets_is_refused_before_training(model):
    def train_batches(epoch):
        raise AssertionError

    problem = replace(posed(model, 1.5), train_batches=train_batches)
    with pytest.raises(InfeasibleBudgetError):
        dnas().search(problem)


def test_the_product_needs_a_cost_above_one(model):
    table = {(n, b, b): b / 100 for n in ("matters", "hardly") for b in BITSET}
    problem = posed(model, 0.1, "latency")
    problem = replace(problem, costs=replace(problem.costs, latencies=table))
    with pytest.raises(SpecError, match="a cost above 1; latency"):
        dnas(loss="product").search(problem)
