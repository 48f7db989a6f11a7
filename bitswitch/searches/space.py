"""Policies of a problem as vectors of bit-widths, and what each of them costs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch

from bitswitch.contracts.search import Problem
from bitswitch.costs import Constraint
from bitswitch.errors import InfeasibleBudgetError
from bitswitch.types import BitSet

Vector = tuple[int, ...]
"""Bit-widths: one per layer where tied, else its weights' and then its inputs', layer by layer."""


class Reduction(NamedTuple):
    """One bit-width of a policy made one level narrower."""

    entry: int
    """Which one, an index into the vector."""
    vector: Vector
    """The whole policy after it."""
    saving: float
    """By how much it lowers the cost, above 0."""


@dataclass(frozen=True)
class Space:
    """All policies of a problem. Prices are looked up: searches ask for them very often."""

    bitset: BitSet
    layers: Sequence[str]
    choices: Sequence[tuple[int, int]]
    """(weight, activation) bit-widths that a layer may take."""
    prices: Sequence[Mapping[tuple[int, int], float]]
    """What every layer adds to the cost, by choice."""
    fixed: float
    """Cost that no policy changes."""
    limit: Constraint
    operands: int
    """Entries of one layer in a vector, 1 or 2."""

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """Return the policies of ``problem``.

        Raises:
            InfeasibleBudgetError: no policy is within the budget.
        """
        costs, limit = problem.costs, problem.limit
        shapes = costs.layers
        prices = [
            {choice: costs.part(limit.cost, shape, *choice) for choice in problem.choices}
            for shape in shapes
        ]
        bitset = tuple(sorted(problem.bitset, reverse=True))
        space = cls(
            bitset,
            problem.layers,
            problem.choices,
            prices,
            costs.fixed(limit.cost),
            limit,
            1 if problem.tied else 2,
        )
        if not space.fits(space.cheapest):
            raise InfeasibleBudgetError(limit.cost, limit.value, space.cost(space.cheapest))
        return space

    @property
    def widest(self) -> Vector:
        """The policy with every layer at the widest bit-width."""
        return (self.bitset[0],) * (len(self.layers) * self.operands)

    @property
    def uniform(self) -> Vector | None:
        """The policy with every layer at the widest bit-width that fits so, if any does."""
        every = ((bits,) * (len(self.layers) * self.operands) for bits in self.bitset)
        return next((vector for vector in every if self.fits(vector)), None)

    @property
    def cheapest(self) -> Vector:
        """The policy of least cost, the widest of them; by a latency table not the narrowest."""
        return self.vector(min(choices, key=choices.__getitem__) for choices in self.prices)

    def vector(self, pairs: Iterable[tuple[int, int]]) -> Vector:
        """Return the vector of one (weight, activation) pair per layer."""
        return tuple(bits for pair in pairs for bits in pair[: self.operands])

    def pairs(self, vector: Vector) -> list[tuple[int, int]]:
        """Return the (weight, activation) bit-widths of every layer."""
        step = self.operands
        return list(zip(vector[::step], vector[step - 1 :: step], strict=True))

    def policy(self, vector: Vector) -> dict[str, tuple[int, int]]:
        """Return what a model can switch to."""
        return dict(zip(self.layers, self.pairs(vector), strict=True))

    def cost(self, vector: Vector) -> float:
        """Return the cost that the budget limits."""
        pairs = zip(self.prices, self.pairs(vector), strict=True)
        return self.fixed + sum(prices[pair] for prices, pair in pairs)

    def fits(self, vector: Vector) -> bool:
        """Return whether a policy is within the budget."""
        return self.cost(vector) <= self.limit.value * (1 + Constraint.TOLERANCE)

    def reductions(self, vector: Vector) -> list[Reduction]:
        """Return every way to make one entry one level narrower that lowers the cost."""
        found = []
        for entry, bits in enumerate(vector):
            if bits == self.bitset[-1]:
                continue
            narrower = self.bitset[self.bitset.index(bits) + 1]
            after = (*vector[:entry], narrower, *vector[entry + 1 :])
            saving = self._price(vector, entry) - self._price(after, entry)
            if saving > 0:
                found.append(Reduction(entry, after, saving))
        return found

    def repaired(self, vector: Vector, generator: torch.Generator) -> Vector:
        """Return ``vector`` after as many random reductions as bring it within the budget."""
        while not self.fits(vector):
            ways = self.reductions(vector)
            if not ways:
                return self.cheapest
            vector = ways[pick(len(ways), generator)].vector
        return vector

    def _price(self, vector: Vector, entry: int) -> float:
        """Return what the layer of one entry adds to the cost."""
        layer, step = entry // self.operands, self.operands
        own = vector[layer * step : layer * step + step]
        return self.prices[layer][own[0], own[-1]]


def pick(count: int, generator: torch.Generator) -> int:
    """Return a random integer in [0, ``count``)."""
    return int(torch.randint(count, (1,), generator=generator))
