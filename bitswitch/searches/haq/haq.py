"""HAQ: an agent walks through the network and learns which bit-widths keep it accurate."""

from math import isfinite, sqrt
from typing import Literal, NamedTuple

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from bitswitch.contracts.card import ExamplePasses, Workload
from bitswitch.contracts.search import Candidate, Evaluation, Problem, Search, require_evaluations
from bitswitch.searches.haq.ddpg import Agent, AgentOptions, Share, Transitions
from bitswitch.searches.haq.fine_tuning import fine_tuned
from bitswitch.searches.haq.haq_walk import FlagName, PreviousName, Walk, clamped
from bitswitch.searches.space import Space, Vector

LEAST = 2
"""Evaluations: the widest policy and one episode."""
REPLAY_EPISODES = 128
"""Transitions that are remembered, per layer (public code)."""


class Schedule(NamedTuple):
    """What becomes less with every episode, and what each one is worth."""

    warmup: int
    """Episodes at random, at the start."""
    stretch: float
    """Published episodes that one stands for."""
    spread: float
    """Of the noise, in the first episode after them and one before."""
    decay: float
    """Of the noise, in a published episode."""

    def noise(self, episode: int) -> float | None:
        """Return the standard deviation of the noise; None: actions are random."""
        if episode < self.warmup:
            return None
        past = (episode - self.warmup + 1) * self.stretch
        return self.spread * float(self.decay**past)

    def updates(self, episode: int) -> int:
        """Return the number of updates for every transition; none while actions are random."""
        return 0 if episode < self.warmup else max(1, round(self.stretch))


class Haq(Search):
    """Reinforcement learning (DDPG); the budget lowers what the agent asks for.

    Every episode is one policy, and one evaluation unless it was met before. The widest policy is
    evaluated first: rewards are relative to it. The first episode is then the widest bit-width
    within the budget in every layer, so that few episodes return nothing worse.
    """

    source = "wang2019haq"
    evaluates = True
    stochastic = True

    class Options(AgentOptions):
        """Defaults are published, but for corrected faults of the public code."""

        episodes: PositiveInt = 600
        """As far as evaluations allow."""
        schedule: Literal["stretched", "published"] = "stretched"
        """``stretched``: where evaluations allow n episodes only, each counts as
        sqrt(episodes / n) published ones in warm-up, decay of the noise and updates."""
        warmup: NonNegativeInt = 21
        """Random episodes out of ``episodes``; the agent does not learn yet."""
        first: Literal["uniform", "drawn"] = "uniform"
        """``drawn``, as published: the first episode is no other than those after it."""
        spread: PositiveFloat = 0.5
        """Standard deviation of the noise at first."""
        decay: Share = 0.99
        """Of the noise, in an episode out of ``episodes``."""
        reward: PositiveFloat = 0.1
        """For a unit of the headline: published for a point of accuracy in percent."""
        fine_tune_steps: NonNegativeInt = 0
        """Training steps at each policy, on a copy, before it is evaluated."""
        fine_tune_learning_rate: PositiveFloat = 1e-3
        replay: Literal["clamped", "chosen"] = "clamped"
        """Actions that are remembered: those within the budget, which were rewarded, or, as
        published, those that the agent chose."""
        flag: FlagName = "present"
        """``previous``: as published."""
        first_state: Literal["fresh", "leaked"] = "fresh"
        """``leaked``: as published where weights and inputs have bit-widths of their own; an
        episode's first state tells that of the first weights in the episode before."""
        previous: PreviousName = "relative"
        """``bits``: as published for k-means quantization."""

    options: Options

    def work(self, extent: Workload, evaluations: int) -> ExamplePasses:
        """Return the steps of fine-tuning, for as many policies as may be evaluated."""
        steps = evaluations * self.options.fine_tune_steps
        return ExamplePasses(trained=steps * extent.batch_size)

    def least_evaluations(self, layers: int) -> int:
        """Return 1 for the widest policy, and 1 for an episode."""
        return LEAST

    def search(self, problem: Problem) -> list[Candidate]:
        options, space = self.options, Space.of(problem)
        episodes = self._episodes(problem)
        schedule = self._schedule(episodes)
        walk = Walk(problem.costs.layers, space, options.previous, options.flag)
        capacity = REPLAY_EPISODES * len(problem.layers)
        agent = Agent(walk.width, capacity, options, problem.generator)
        rewards = _Rewards(problem, space, options)
        for episode in range(episodes):
            first = space.uniform if not episode and options.first == "uniform" else None
            actions = self._actions(walk, agent, schedule.noise(episode), first)
            vector = tuple(walk.chosen(action) for action in actions)
            within = clamped(vector, space)
            reward = rewards.of(within)
            for transition in self._transitions(walk, actions, vector, within, reward):
                agent.replay.append(transition)
                for _ in range(schedule.updates(episode)):
                    agent.update()
            if options.first_state == "leaked" and not problem.tied:
                walk.leaked = vector[0]
        return [rewards.best()]

    def _episodes(self, problem: Problem) -> int:
        """Return how many episodes there are: one evaluation goes to the widest policy.

        Raises:
            TooFewEvaluationsError: not even one.
        """
        require_evaluations("haq", problem.remaining(), LEAST)
        return min(self.options.episodes, problem.remaining() - 1)

    def _schedule(self, episodes: int) -> Schedule:
        options = self.options
        stretch = sqrt(options.episodes / episodes) if options.schedule == "stretched" else 1.0
        warmup = max(1, round(options.warmup / stretch)) if options.warmup else 0
        return Schedule(warmup, stretch, options.spread, options.decay)

    def _actions(
        self, walk: Walk, agent: Agent, noise: float | None, given: Vector | None
    ) -> list[float]:
        """Return the actions of a policy that is given, random ones, or the agent's."""
        if given is not None:
            return [walk.action(bits) for bits in given]
        if noise is None:
            drawn: list[float] = torch.rand(walk.steps, generator=agent.generator).tolist()
            return drawn
        actions: list[float] = []
        vector: list[int] = []
        for step in range(walk.steps):
            actions.append(agent.act(walk.state(step, vector), noise))
            vector.append(walk.chosen(actions[-1]))
        return actions

    def _transitions(
        self, walk: Walk, actions: list[float], vector: Vector, within: Vector, reward: float
    ) -> list[Transitions]:
        """Return the steps of an episode, all with the same reward.

        Args:
            walk: Through the network.
            actions: Of the agent.
            vector: Bit-widths that they stand for.
            within: Those within the budget.
            reward: For these.
        """
        if self.options.replay == "clamped":
            lowered = zip(actions, vector, within, strict=True)
            actions = [a if bits == left else walk.action(left) for a, bits, left in lowered]
            vector = within
        states = [walk.state(step, vector)[None] for step in range(walk.steps)]
        ends = [*[0.0] * (walk.steps - 1), 1.0]
        return [
            Transitions(state, torch.tensor([[a]]), torch.tensor([[reward]]), after, end)
            for state, a, after, end in zip(
                states,
                actions,
                [*states[1:], states[-1]],
                torch.tensor(ends).reshape(-1, 1, 1),
                strict=True,
            )
        ]


class _Rewards:
    """What policies are worth; those met before are not evaluated again."""

    def __init__(self, problem: Problem, space: Space, options: Haq.Options) -> None:
        self.problem = problem
        self.space = space
        self.options = options
        self.widest = problem.evaluate(space.policy(space.widest)).merit
        self.found: dict[Vector, Evaluation] = {}
        self.lowest = 0.0
        """Of the rewards so far, and no more than that of the widest policy."""

    def of(self, vector: Vector) -> float:
        """Return the reward of a policy, for its headline relative to the widest policy's.

        Where that is no number, it is the lowest reward so far: the agent learns from numbers.
        """
        if vector not in self.found:
            self.found[vector] = self._evaluation(vector)
        reward = self.options.reward * (self.found[vector].merit - self.widest)
        if not isfinite(reward):
            return self.lowest
        self.lowest = min(self.lowest, reward)
        return reward

    def best(self) -> Candidate:
        """Return the policy with the largest reward; of several, that with the least loss."""
        vector = max(self.found, key=lambda vector: self.found[vector].rank_key)
        return Candidate(self.space.policy(vector), -self.of(vector))

    def _evaluation(self, vector: Vector) -> Evaluation:
        policy, steps = self.space.policy(vector), self.options.fine_tune_steps
        if not steps:
            return self.problem.evaluate(policy)
        model = fine_tuned(self.problem, policy, steps, self.options.fine_tune_learning_rate)
        return self.problem.evaluate(policy, model)
