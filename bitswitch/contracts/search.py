"""Searches: what one gets to choose a bit-width for every layer, and what it gives back."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf, isnan
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from bitswitch.contracts.card import ExamplePasses, Workload
from bitswitch.contracts.metric import LOSS, Found, Metric
from bitswitch.contracts.plugin import Plugin
from bitswitch.contracts.sensitivity import Scores
from bitswitch.costs import Constraint, CostModel
from bitswitch.errors import TooFewEvaluationsError
from bitswitch.types import BitSet, Policy

if TYPE_CHECKING:  # reports solve integer programs without torch
    import torch

    from bitswitch.contracts.data import Batch
    from bitswitch.contracts.task import Task
    from bitswitch.nn.model import QuantizedModel


class Evaluation(NamedTuple):
    """How good one policy is on held-out examples."""

    rank_key: tuple[float, float]
    """What policies are compared by, larger is better: the headline, with a minus where lower is
    better, then the loss with a minus; minus infinity for what is no number."""
    found: Found
    """All metrics of the task."""
    error: float
    """The headline as something to make small: of a percentage, what is missing to 100."""

    @classmethod
    def of(cls, found: Found, headline: Metric) -> Self:
        """Return the evaluation that found ``found``.

        Args:
            found: All metrics of the task.
            headline: The one that counts.
        """
        value, loss = found.values[headline.name], found.values[LOSS]
        merit = -inf if isnan(value) else headline.sign * value
        rank_key = merit, -inf if isnan(loss) else -loss
        return cls(rank_key, found, headline.error(value))

    @property
    def merit(self) -> float:
        """The headline, larger is better; minus infinity where it is no number."""
        return self.rank_key[0]

    @property
    def values(self) -> Mapping[str, float]:
        """All metrics of the task, by name."""
        return self.found.values

    @property
    def loss(self) -> float:
        """Mean loss."""
        return self.values[LOSS]


class Evaluate(Protocol):
    """Evaluates policies on held-out examples."""

    def __call__(self, policy: Policy, model: "QuantizedModel | None" = None) -> Evaluation:
        """Return how good ``policy`` is.

        Args:
            policy: To switch to.
            model: A copy of the network that the search has trained; None: the network itself.
        """
        ...


class Candidate(NamedTuple):
    """A policy that a search proposes."""

    policy: Policy
    objective: float | None = None
    """What the search minimised, where it has such a number."""


@dataclass(frozen=True)
class Problem:
    """Choose a bit-width for every switchable layer, within a budget."""

    model: "QuantizedModel"
    """The trained network. A search that trains it works on a deep copy."""
    costs: CostModel
    bitset: BitSet
    limit: Constraint
    tied: bool
    """Weights and inputs of a layer share their bit-width."""
    scores: Scores | None
    """Of the sensitivity that the search's spec names, if any."""
    evaluate: Evaluate
    """On held-out examples, batch norm recalibrated as the spec says. Every call counts."""
    remaining: Callable[[], int]
    """How many more calls of ``evaluate`` the spec allows; one more raises SpecError."""
    train_batches: "Callable[[int], Iterator[Batch]]"
    """Gives the shuffled, augmented training batches of an epoch."""
    generator: "torch.Generator"
    """On the CPU; all that is random comes from it."""
    task: "Task"
    """Of the dataset; a search that trains takes its loss."""

    @property
    def layers(self) -> list[str]:
        """Names of the switchable layers, first to last."""
        return [shape.name for shape in self.costs.layers]

    @property
    def choices(self) -> list[tuple[int, int]]:
        """(weight, activation) bit-widths that a layer may take."""
        if self.tied:
            return [(bits, bits) for bits in self.bitset]
        return [(weight, activation) for weight in self.bitset for activation in self.bitset]

    def allows(self, policy: Policy) -> bool:
        """Return whether ``policy`` is within the budget."""
        return self.limit.allows(self.costs, policy)

    def widest_uniform(self) -> int | None:
        """Return the widest bit-width that all layers may have within the budget; None: none."""
        widths = sorted(self.bitset, reverse=True)
        allowed = (bits for bits in widths if self.allows(dict.fromkeys(self.layers, bits)))
        return next(allowed, None)


def require_evaluations(search: str, allowed: int, least: int) -> None:
    """Raise an error where a search cannot work with as few evaluations as it is allowed.

    Raises:
        TooFewEvaluationsError: less than ``least`` are allowed.
    """
    if allowed < least:
        raise TooFewEvaluationsError(search, allowed, least)


class Search(Plugin):
    """A way to choose a bit-width for every layer.

    Where an option decides one of these, ``__init__`` sets it.
    """

    scored: bool = False
    """Whether it needs a sensitivity."""
    evaluates: bool = False
    """Whether it evaluates policies on held-out examples while it searches."""
    stochastic: bool = False
    """Whether its result depends on the seed."""

    def search(self, problem: Problem) -> list[Candidate]:
        """Return policies within the budget, best first; at least one.

        Where it returns several, the one that is best on held-out examples is taken, as far as the
        allowed number of evaluations goes.

        Raises:
            InfeasibleBudgetError: no policy is within the budget. Tables print a dash with that
                reason; other budgets go on.
        """
        raise NotImplementedError

    def least_evaluations(self, layers: int) -> int:
        """Return how many evaluations it cannot do without within one budget.

        Suites that allow fewer are refused. Default: one, where it evaluates.

        Args:
            layers: Whose bit-widths can be switched.
        """
        return 1 if self.evaluates else 0

    def objection(self, cost: str) -> str | None:
        """Return why it cannot search within a budget on ``cost``, or None.

        Suites that ask for it are refused.
        """
        return None

    def work(self, extent: Workload, evaluations: int) -> ExamplePasses:
        """Return what it trains within one budget, about; default: nothing.

        Args:
            extent: Of the run that is searched.
            evaluations: How often it may evaluate a policy, which is counted apart.
        """
        return ExamplePasses()
