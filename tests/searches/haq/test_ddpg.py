from math import erf, exp, pi, sqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import mse_loss

from bitswitch.searches.haq.ddpg import (
    Agent,
    AgentOptions,
    Replay,
    Transitions,
    follow,
    truncated_normal,
)

FEATURES = 3


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def transition(number, last=0.0, reward=None):
    state = torch.full((1, FEATURES), float(number))
    values = [torch.tensor([[v]]) for v in (number / 100, reward or number / 10, last)]
    return Transitions(state, values[0], values[1], state + 1, values[2])


def agent(seed=0, capacity=64, **options):
    return Agent(FEATURES, capacity, AgentOptions(hidden=8, batch=16, **options), generator(seed))


def filled(count=20, **options):
    one = agent(**options)
    for number in range(count):
        one.replay.append(transition(number, last=float(number % 5 == 4)))
    return one


def test_the_replay_keeps_what_it_saw_last():
    replay = Replay(FEATURES, 4, generator())
    for number in range(6):
        replay.append(transition(number))
        assert len(replay) == min(number + 1, 4)
    batch = replay.sample(4)
    assert sorted(batch.states[:, 0].tolist()) == [2, 3, 4, 5]
    torch.testing.assert_close(batch.next_states, batch.states + 1)
    torch.testing.assert_close(batch.actions, batch.states[:, :1] / 100)
    torch.testing.assert_close(batch.rewards, batch.states[:, :1] / 10)


def test_a_batch_repeats_transitions_only_where_there_are_too_few():
    replay = Replay(FEATURES, 100, generator())
    for number in range(30):
        replay.append(transition(number))
    assert len(set(replay.sample(30).states[:, 0].tolist())) == 30
    assert len(replay.sample(64).states) == 64


def moments(mean, spread):
    """Mean of the normal distribution cut off at 0 and 1, in closed form."""
    low, high = -mean / spread, (1 - mean) / spread

    def density(x):
        return exp(-x * x / 2) / sqrt(2 * pi)

    def mass(x):
        return (1 + erf(x / sqrt(2))) / 2

    return mean + spread * (density(low) - density(high)) / (mass(high) - mass(low))


@pytest.mark.parametrize(("mean", "spread"), [(0.5, 0.5), (0.1, 0.3), (1.0, 0.5), (0.0, 0.05)])
def test_noise_is_a_normal_distribution_cut_off_at_the_ends(mean, spread):
    draw = generator()
    drawn = [truncated_normal(mean, spread, draw) for _ in range(3000)]
    assert min(drawn) >= 0
    assert max(drawn) <= 1
    assert sum(drawn) / len(drawn) == pytest.approx(moments(mean, spread), abs=0.03 * spread * 3)


@given(mean=st.floats(0, 1), spread=st.floats(1e-4, 2), seed=st.integers(0, 100))
def test_noise_stays_within_bounds_and_shrinks_with_its_spread(mean, spread, seed):
    drawn = truncated_normal(mean, spread, generator(seed))
    assert 0 <= drawn <= 1
    assert abs(drawn - mean) <= 9 * spread


@torch.no_grad()
def scalar(one, batch, row, gamma):
    """Return y of one transition, by the definition."""
    state = batch.next_states[row : row + 1]
    later = float(one.target_critic(state, one.target_actor(state)))
    return float(batch.rewards[row]) - one.baseline + gamma * (1 - float(batch.last[row])) * later


@pytest.mark.parametrize("gamma", [1.0, 0.7])
def test_targets_are_rewards_above_the_baseline_and_what_comes_later(gamma):
    one = filled(discount=gamma)
    one.baseline = 0.4
    batch = one.replay.sample(12)
    expected = [scalar(one, batch, row, gamma) for row in range(12)]
    torch.testing.assert_close(one.targets(batch).flatten(), torch.tensor(expected))
    assert {float(x) for x in batch.last} == {0.0, 1.0}


def test_the_baseline_follows_the_mean_reward_of_batches():
    one, means = filled(baseline_rate=0.5), []
    sample = one.replay.sample

    def watched(size):
        batch = sample(size)
        means.append(float(batch.rewards.mean()))
        return batch

    one.replay.sample = watched
    one.update()
    assert one.baseline == pytest.approx(means[0])
    one.update()
    assert one.baseline == pytest.approx(0.5 * means[0] + 0.5 * means[1])


def test_a_constant_added_to_all_rewards_changes_nothing():
    actions = []
    for shift in (0.0, 5.0):
        one = agent(actor_learning_rate=1e-2)
        for number in range(20):
            one.replay.append(transition(number, reward=number / 10 + 1 + shift))
        for _ in range(5):
            one.update()
        actions.append(one.act(torch.ones(FEATURES), spread=1e-9))
    assert actions[0] == pytest.approx(actions[1], abs=1e-5)


def test_targets_move_by_a_share_of_the_way():
    one, other = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    before, goal = one.weight.clone(), other.weight.clone()
    follow(one, other, 0.01)
    torch.testing.assert_close(one.weight, 0.99 * before + 0.01 * goal)
    torch.testing.assert_close(other.weight, goal)


def test_an_update_brings_the_critic_closer_and_the_actor_higher():
    one = filled(actor_learning_rate=1e-3, critic_learning_rate=1e-2, target_rate=0.0)
    batch = one.replay.sample(20)
    one.baseline = 1.0

    @torch.no_grad()
    def error():
        return float(mse_loss(one.critic(batch.states, batch.actions), one.targets(batch)))

    @torch.no_grad()
    def worth():
        return float(one.critic(batch.states, one.actor(batch.states)).mean())

    first = error()
    for _ in range(60):
        one.update()
    assert error() < 0.7 * first
    critic = {name: value.clone() for name, value in one.critic.state_dict().items()}
    before = worth()
    for _ in range(20):
        one.update()
        one.critic.load_state_dict(critic)
    assert worth() > before


@pytest.mark.parametrize("sign", [1, -1])
def test_an_agent_learns_which_actions_are_rewarded(sign):
    one, state = agent(actor_learning_rate=3e-3, critic_learning_rate=1e-2), torch.ones(FEATURES)
    for _ in range(40):
        action = one.act(state, spread=0.5)
        values = [torch.tensor([[v]]) for v in (action, sign * action, 1.0)]
        one.replay.append(Transitions(state[None], values[0], values[1], state[None], values[2]))
        for _ in range(4):
            one.update()
    assert sign * (one.act(state, spread=1e-6) - 0.5) > 0.3


def test_all_that_is_random_comes_from_the_generator():
    def lived(seed):
        torch.manual_seed(0 if seed else 1)
        one = filled() if not seed else filled_with(seed)
        for _ in range(3):
            one.update()
        return one.act(torch.ones(FEATURES), 0.3)

    def filled_with(seed):
        one = agent(seed)
        for number in range(20):
            one.replay.append(transition(number))
        return one

    assert lived(1) == lived(1)
    assert lived(1) != lived(2)
    state = torch.get_rng_state()
    lived(3)
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), torch.Generator().manual_seed(0).get_state())
    torch.set_rng_state(state)
