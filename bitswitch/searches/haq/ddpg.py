"""DDPG: an actor that proposes a number in [0, 1], a critic that says what it is worth."""

from copy import deepcopy
from typing import Annotated, NamedTuple

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.optim import Adam

from bitswitch.runtime.randomness import seeded
from bitswitch.types import Strict

Share = Annotated[float, Field(ge=0, le=1)]


class AgentOptions(Strict):
    """How an agent learns; defaults are those of the public code of wang2019haq."""

    hidden: PositiveInt = 300
    """Units of each of the two hidden layers."""
    actor_learning_rate: PositiveFloat = 1e-4
    critic_learning_rate: PositiveFloat = 1e-3
    discount: Share = 1.0
    """gamma."""
    target_rate: Share = 0.01
    """tau: how far the target networks move towards the trained ones in an update."""
    batch: PositiveInt = 64
    """Transitions of an update."""
    baseline_rate: Share = 0.5
    """Weight of a new batch in the moving average that rewards are compared with."""


class Transitions(NamedTuple):
    """Steps of an agent, one per row."""

    states: Tensor
    """float32 [n, features]."""
    actions: Tensor
    """[n, 1], in [0, 1]."""
    rewards: Tensor
    """[n, 1]."""
    next_states: Tensor
    """[n, features]."""
    last: Tensor
    """[n, 1]: 1 where the episode ends, otherwise 0."""


class Replay:
    """The transitions seen last.

    Args:
        features: Of a state.
        capacity: How many are kept.
        generator: On the CPU; draws them.
    """

    def __init__(self, features: int, capacity: int, generator: torch.Generator) -> None:
        self.generator = generator
        self._table = torch.empty(capacity, 2 * features + 3)
        self._widths = [features, 1, 1, features, 1]
        self._seen = 0

    def __len__(self) -> int:
        return min(self._seen, len(self._table))

    def append(self, transition: Transitions) -> None:
        """Keep one ``transition`` [1, ...]; it takes the place of the oldest when full."""
        self._table[self._seen % len(self._table)] = torch.cat(transition, 1)
        self._seen += 1

    def sample(self, size: int) -> Transitions:
        """Return ``size`` transitions, all different where there are as many."""
        count = len(self)
        if count >= size:
            drawn = torch.randperm(count, generator=self.generator)[:size]
        else:
            drawn = torch.randint(count, (size,), generator=self.generator)
        return Transitions(*torch.split_with_sizes(self._table[drawn], self._widths, 1))


class Critic(nn.Module):
    """Q: the return to expect [n, 1] of actions [n, 1] in states [n, features]."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.of_state = nn.Linear(features, hidden)
        self.of_action = nn.Linear(1, hidden)
        self.rest = nn.Sequential(
            nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def forward(self, states: Tensor, actions: Tensor) -> Tensor:
        value: Tensor = self.rest(self.of_state(states) + self.of_action(actions))
        return value


def actor(features: int, hidden: int) -> nn.Module:
    """Return mu: actions [n, 1] in [0, 1] for states [n, features]."""
    return nn.Sequential(
        nn.Linear(features, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 1),
        nn.Sigmoid(),
    )


class Agent:
    """An actor, a critic, their slowly following targets, and what they have seen.

    Rewards count relative to a moving average of the mean reward of the batches drawn.

    Args:
        features: Of a state.
        capacity: Transitions that are kept.
        options: How it learns.
        generator: On the CPU; all that is random comes from it.

    Source: wang2019haq, section 3.5, and its public code.
    """

    def __init__(
        self, features: int, capacity: int, options: AgentOptions, generator: torch.Generator
    ) -> None:
        self.options = options
        self.generator = generator
        self.replay = Replay(features, capacity, generator)
        with seeded("ddpg", int(torch.randint(2**62, (), generator=generator))):
            self.actor = actor(features, options.hidden)
            self.critic = Critic(features, options.hidden)
        self.target_actor = deepcopy(self.actor)
        self.target_critic = deepcopy(self.critic)
        self.baseline: float | None = None
        """Moving average of rewards; None before the first update."""
        self._optimizers = (
            Adam(self.actor.parameters(), lr=options.actor_learning_rate, fused=True),
            Adam(self.critic.parameters(), lr=options.critic_learning_rate, fused=True),
        )

    @torch.no_grad()
    def act(self, state: Tensor, spread: float) -> float:
        """Return an action for ``state`` [features]: around the actor's, cut off at 0 and 1.

        Args:
            state: What is known.
            spread: Standard deviation of the normal distribution before it is cut off.
        """
        mean = float(self.actor(state[None]))
        return truncated_normal(mean, spread, self.generator)

    def update(self) -> None:
        """Improve critic and actor by one batch of what was seen."""
        batch = self.replay.sample(self.options.batch)
        self._follow_rewards(float(batch.rewards.mean()))
        of_actor, of_critic = self._optimizers
        value = self.critic(batch.states, batch.actions)
        _descend(mse_loss(value, self.targets(batch)), of_critic)
        _descend(-self.critic(batch.states, self.actor(batch.states)).mean(), of_actor)
        follow(self.target_actor, self.actor, self.options.target_rate)
        follow(self.target_critic, self.critic, self.options.target_rate)

    @torch.no_grad()
    def targets(self, batch: Transitions) -> Tensor:
        """Return y [n, 1], what the critic should say of ``batch``.

        y = R - EMA(R) + gamma * Q'(s', mu'(s')), without the last term where the episode ends.
        """
        next_actions = self.target_actor(batch.next_states)
        later: Tensor = self.target_critic(batch.next_states, next_actions)
        baseline = 0.0 if self.baseline is None else self.baseline
        return batch.rewards - baseline + self.options.discount * (1 - batch.last) * later

    def _follow_rewards(self, mean: float) -> None:
        if self.baseline is None:
            self.baseline = mean
        self.baseline += self.options.baseline_rate * (mean - self.baseline)


def truncated_normal(mean: float, spread: float, generator: torch.Generator) -> float:
    """Draw from a normal distribution that is cut off at 0 and 1, by inversion.

    Args:
        mean: Of the normal distribution, in [0, 1].
        spread: Its standard deviation, positive.
        generator: On the CPU.
    """
    bounds = torch.tensor([-mean / spread, (1 - mean) / spread], dtype=torch.float64)
    low, high = torch.special.ndtr(bounds)
    share = torch.rand((), dtype=torch.float64, generator=generator)
    drawn = mean + spread * torch.special.ndtri(low + share * (high - low))
    return float(drawn.clamp(0, 1))


@torch.no_grad()
def follow(target: nn.Module, trained: nn.Module, rate: float) -> None:
    """Move the parameters of ``target`` by a share of the way to those of ``trained``."""
    torch._foreach_lerp_(list(target.parameters()), list(trained.parameters()), rate)


def _descend(loss: Tensor, optimizer: Adam) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
