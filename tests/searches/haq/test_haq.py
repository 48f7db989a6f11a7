from dataclasses import replace
from math import sqrt

import pytest
import torch

from bitswitch.contracts.card import ExamplePasses, Workload
from bitswitch.costs import Constraint
from bitswitch.errors import InfeasibleBudgetError, SpecError
from bitswitch.searches.haq.ddpg import Agent
from bitswitch.searches.haq.haq import Haq, Schedule, _Rewards
from bitswitch.searches.space import Space
from tests.searches.exact_problems import evaluation
from tests.searches.learning_problems import (
    BITSET,
    Formula,
    batches_of,
    counted,
    images,
    trained_network,
    with_formula,
    with_network,
)

FACTORS = [1, 30, 3, 50]


def haq(**options):
    return Haq(Haq.Options(**{"hidden": 16, "batch": 8} | options))


def search(allowed=12, seed=0, at_most=4.5, tied=True, **options):
    formula = Formula(FACTORS, allowed)
    problem = with_formula(formula, at_most, seed, tied=tied)
    (best,) = haq(**{"schedule": "published", "warmup": 2} | options).search(problem)
    return best, formula, problem


def test_the_first_episode_is_one_bit_width_for_all_layers_unless_told_otherwise():
    _, formula, _ = search(allowed=3)
    widest, first, second = (set(policy.values()) for policy in formula.seen)
    assert (widest, first) == ({(8, 8)}, {(4, 4)})
    assert second != first
    _, formula, _ = search(allowed=3, first="drawn")
    assert len(set(formula.seen[1].values())) > 1


def test_defaults_are_published():
    options = Haq.Options()
    assert (options.hidden, options.batch, options.episodes) == (300, 64, 600)
    assert (options.discount, options.target_rate, options.baseline_rate) == (1, 0.01, 0.5)
    assert (options.actor_learning_rate, options.critic_learning_rate) == (1e-4, 1e-3)


def test_the_published_schedule():
    schedule = haq()._schedule(600)
    assert schedule == Schedule(21, 1.0, 0.5, 0.99)
    assert all(schedule.noise(episode) is None for episode in range(21))
    for episode in (21, 22, 599):
        assert schedule.noise(episode) == pytest.approx(0.5 * 0.99 ** (episode - 20))
    assert schedule.updates(20) == 0
    assert schedule.updates(21) == 1


def test_few_evaluations_stretch_the_schedule():
    schedule = haq()._schedule(24)
    assert schedule.stretch == pytest.approx(sqrt(25))
    assert schedule.warmup == 4
    assert schedule.noise(4) == pytest.approx(0.5 * 0.99**5)
    assert schedule.updates(4) == 5
    assert haq(schedule="published")._schedule(24) == Schedule(21, 1.0, 0.5, 0.99)


@pytest.mark.parametrize("tied", [True, False])
def test_every_policy_but_the_first_is_within_the_budget(tied):
    best, formula, problem = search(tied=tied)
    first, *rest = formula.seen
    assert set(first.values()) == {(8, 8)}
    assert all(problem.allows(policy) for policy in rest)
    assert problem.allows(best.policy)
    assert 6 < len(formula.seen) <= 12
    if tied:
        assert all(w == a for policy in rest for w, a in policy.values())
    else:
        assert any(w != a for policy in rest for w, a in policy.values())


def test_the_best_policy_met_is_returned_with_its_reward():
    best, formula, _ = search()
    top1 = max(formula.top1(policy) for policy in formula.seen[1:])
    assert formula.top1(best.policy) == top1
    widest = formula.top1(formula.seen[0])
    assert best.objective == pytest.approx(-0.1 * (top1 - widest))


def test_no_policy_is_evaluated_twice():
    formula = search(allowed=25)[1]
    keys = [tuple(policy.values()) for policy in formula.seen[1:]]
    assert len(set(keys)) == len(keys)


def test_the_same_seed_gives_the_same_search():
    first, again, other = search(), search(), search(seed=1)
    assert first[1].seen == again[1].seen
    assert first[1].seen != other[1].seen


def test_the_agent_learns_what_pays(monkeypatch):
    """Its last policies are far better than its first, which are random."""
    rewards, of = [], _Rewards.of

    def noted(self, vector):
        rewards.append(of(self, vector))
        return rewards[-1]

    monkeypatch.setattr(_Rewards, "of", noted)
    rates = {"actor_learning_rate": 1e-3, "critic_learning_rate": 1e-2}
    search(allowed=101, at_most=5, hidden=64, batch=64, warmup=20, decay=0.96, **rates)
    first, last = rewards[:20], rewards[80:100]
    assert sum(last) / 20 > sum(first) / 20 + 0.15
    assert sum(last) / 20 > max(rewards) - 0.15


def transitions(plugin, actions, at_most=4.0, tied=True):
    """Return what the replay is given of an episode with these actions."""
    from bitswitch.searches.haq.haq_walk import Walk, clamped
    from bitswitch.searches.space import Space

    problem = with_formula(Formula([1, 1], 9), at_most, tied=tied)
    space = Space.of(problem)
    walk = Walk(problem.costs.layers, space)
    vector = tuple(walk.chosen(action) for action in actions)
    return plugin._transitions(walk, actions, vector, clamped(vector, space), -0.5)


def test_the_replay_keeps_the_actions_that_were_rewarded():
    first, second = transitions(haq(), [0.3, 0.6], at_most=4)
    assert float(first.actions) == pytest.approx(0.3)  # 4 bits, as chosen
    assert float(second.actions) == pytest.approx(0.375)  # 6 bits, lowered to 4
    assert float(second.states[0, 8]) == 4 / 8
    assert torch.equal(first.next_states, second.states)
    assert torch.equal(second.next_states, second.states)
    assert [float(one.last) for one in (first, second)] == [0, 1]
    assert all(float(one.rewards) == -0.5 for one in (first, second))


def test_as_published_the_replay_keeps_the_actions_that_were_chosen():
    first, second = transitions(haq(replay="chosen"), [0.9, 0.9])
    assert float(second.actions) == float(first.actions) == pytest.approx(0.9)
    assert float(second.states[0, 8]) == 1


@pytest.fixture
def remembered(monkeypatch):
    """Return a function that searches and gives the states that the replay has seen."""
    agents = []

    def note(*args):
        agents.append(Agent(*args))
        return agents[-1]

    monkeypatch.setattr("bitswitch.searches.haq.haq.Agent", note)

    def run(**options):
        search(**options)
        replay = agents[-1].replay
        return replay.sample(len(replay)).states.sort(0).values

    return run


def test_options_as_published_change_what_the_agent_sees(remembered):
    plain = remembered(tied=False)
    for option in ({"replay": "chosen"}, {"flag": "previous"}, {"first_state": "leaked"}):
        assert not torch.equal(remembered(tied=False, **option), plain)
    tied = remembered()
    assert not torch.equal(remembered(previous="bits"), tied)
    assert torch.equal(remembered(first_state="leaked"), tied)


@pytest.mark.parametrize("allowed", [0, 1])
def test_it_needs_evaluations(allowed):
    with pytest.raises(SpecError, match=f"at least 2 evaluations.* may make {allowed}"):
        search(allowed=allowed)


def test_a_budget_that_nothing_meets_is_refused_before_anything_is_evaluated():
    formula = Formula(FACTORS, 30)
    with pytest.raises(InfeasibleBudgetError, match=r"at most 1\.5"):
        haq().search(with_formula(formula, 1.5))
    assert not formula.seen


def test_fine_tuning_trains_a_copy_at_every_policy():
    model = trained_network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    problem = with_network(model, Constraint("average-bits", 5))
    formula, models = Formula([1, 1], 6), []

    def evaluate(policy, model=None):
        models.append(model)
        return formula(policy)

    problem = replace(
        problem,
        evaluate=evaluate,
        remaining=formula.remaining,
        train_batches=batches_of(images(), 32),
    )
    search, seen = haq(fine_tune_steps=3, schedule="published"), []
    (best,) = search.search(counted(problem, seen))
    assert problem.allows(best.policy)
    extent = Workload(layers=4, epoch_examples=256, batch_size=32)
    assert search.work(extent, evaluations=len(models) - 1) == ExamplePasses(trained=sum(seen))
    assert models[0] is None
    assert all(one is not None and one is not model for one in models[1:])
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert model.bitset == BITSET


def test_rewards_are_numbers_where_the_headline_is_none():
    merits = iter([60.0, 50.0, float("-inf"), 70.0])
    problem = with_formula(Formula(FACTORS, 9), 4.5)
    found = evaluation(0.0, 1.0)
    problem = replace(problem, evaluate=lambda policy: found._replace(rank_key=(next(merits), 0.0)))
    rewards = _Rewards(problem, Space.of(problem), Haq.Options())
    drawn = [rewards.of((bits, 2, 2, 2)) for bits in (8, 4, 2)]
    assert drawn == pytest.approx([-1.0, -1.0, 1.0])
    assert rewards.best().objective == pytest.approx(-1.0)
