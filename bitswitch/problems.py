"""What a search plugin gets and what it gives back."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf, isnan
from typing import TYPE_CHECKING, NamedTuple, Protocol

from bitswitch.costs import CostModel, CostName
from bitswitch.errors import TooFewEvaluationsError
from bitswitch.scores import Scores
from bitswitch.types import BitSet, Policy

if TYPE_CHECKING:
    import torch

    from bitswitch.contracts import Batch
    from bitswitch.nn.model import QuantizedModel


class Evaluation(NamedTuple):
    """How good one policy is on held-out images."""

    top1: float
    """Percent."""
    loss: float
    """Mean cross-entropy in nats."""

    @property
    def error(self) -> float:
        """Top-1 error in percent."""
        return 100 - self.top1

    @property
    def merit(self) -> tuple[float, float]:
        """What policies are compared by: more correct images, then the smaller loss."""
        return self.top1, -inf if isnan(self.loss) else -self.loss


class Evaluate(Protocol):
    """Evaluates policies on held-out images."""

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
class Limit:
    """An upper bound on one cost."""

    cost: CostName
    value: float

    TOLERANCE = 1e-9
    """Of the comparison, relative to the limit."""

    def allows(self, costs: CostModel, policy: Policy) -> bool:
        """Return whether ``policy`` costs no more than the limit."""
        return costs.total(self.cost, policy) <= self.value * (1 + self.TOLERANCE)


@dataclass(frozen=True)
class Problem:
    """Choose a bit-width for every switchable layer, within a budget."""

    model: "QuantizedModel"
    """The trained network. A search that trains it works on a deep copy."""
    costs: CostModel
    bitset: BitSet
    limit: Limit
    tied: bool
    """Weights and inputs of a layer share their bit-width."""
    scores: Scores | None
    """Of the sensitivity that the search's spec names, if any."""
    evaluate: Evaluate
    """On held-out images, batch norm recalibrated as the spec says. Every call counts."""
    remaining: Callable[[], int]
    """How many more calls of ``evaluate`` the spec allows; one more raises SpecError."""
    train_batches: "Callable[[int], Iterator[Batch]]"
    """Gives the shuffled, augmented training batches of an epoch."""
    generator: "torch.Generator"
    """On the CPU; all that is random comes from it."""

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
