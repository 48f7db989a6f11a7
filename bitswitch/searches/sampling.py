"""Random policies within a budget."""

from collections.abc import Container
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from bitswitch.costs import Constraint
from bitswitch.searches.space import Space, Vector
from bitswitch.types import Strict


class SamplingOptions(Strict):
    """How policies are drawn."""

    sampling: Literal["conditional", "rejection", "repair"] = "conditional"
    """``conditional``: bit-widths whose mean cost lies just below the budget, until the cost does;
    ``rejection``: uniform bit-widths, until the cost lies there; ``repair``: uniform bit-widths,
    lowered at random until the cost does not exceed the budget."""
    slack: Annotated[float, Field(gt=0, le=1)] = 1 / 12
    """How far below the budget a drawn policy may cost, as a share of the difference between the
    dearest and the cheapest policy. Half a bit of 2 to 8 bits in xu2023eqnet."""
    first: Literal["uniform", "drawn"] = "uniform"
    """What is evaluated first: the widest bit-width within the budget in every layer, so that a
    search with few evaluations returns nothing worse, or, as published, another random policy."""
    attempts: PositiveInt = 30
    """Draws before one is repaired as ``repair`` does, and fruitless draws for a new policy."""


class Sampler:
    """Draws policies within the budget of a space.

    Independent draws with p(bits) ~ exp(-beta * cost) in every layer are uniform among policies of
    equal cost; beta puts their mean cost where it is wanted. So ``conditional`` draws what uniform
    draws with rejection would, up to the slack, at any budget: uniform draws alone concentrate at
    the mean bit-width.

    Source: xu2023eqnet, whose code tabulates the same distribution from 500 000 uniform policies.
    """

    def __init__(self, space: Space, options: SamplingOptions, generator: torch.Generator) -> None:
        self.space = space
        self.options = options
        self.generator = generator
        self.prices = torch.tensor(
            [[row[choice] for choice in space.choices] for row in space.prices],
            dtype=torch.float64,
        )
        least, most = float(self.prices.amin(1).sum()), float(self.prices.amax(1).sum())
        top = min(space.limit.value - space.fixed, most)
        bottom = max(least, top - options.slack * (most - least))
        self.probabilities = torch.ones_like(self.prices)
        if options.sampling == "conditional":
            self.probabilities = tilted(self.prices, (bottom + top) / 2)
        rounding = Constraint.TOLERANCE * (most + abs(space.fixed))
        self.accepted = bottom - rounding, top + rounding
        """Costs of all layers together between which a draw is taken as it is."""

    def first(self) -> list[Vector]:
        """Return what is evaluated before anything is drawn: one policy or none."""
        uniform = self.space.uniform if self.options.first == "uniform" else None
        return [] if uniform is None else [uniform]

    def draw(self) -> Vector:
        """Return a policy within the budget."""
        tries = 1 if self.options.sampling == "repair" else self.options.attempts
        drawn = torch.multinomial(self.probabilities, tries, True, generator=self.generator)
        costs = self.prices.gather(1, drawn).sum(0)
        low, high = self.accepted
        first = int(((costs >= low) & (costs <= high)).to(torch.uint8).argmax())
        chosen = [self.space.choices[index] for index in drawn[:, first].tolist()]
        return self.space.repaired(self.space.vector(chosen), self.generator)

    def distinct(self, count: int, known: Container[Vector] = ()) -> list[Vector]:
        """Return up to ``count`` different policies that are not in ``known``.

        There are fewer once ``attempts`` draws in a row bring nothing new.
        """
        found: dict[Vector, None] = {}
        fruitless = 0
        while len(found) < count and fruitless < self.options.attempts:
            drawn = self.draw()
            fruitless = fruitless + 1 if drawn in found or drawn in known else 0
            if not fruitless:
                found[drawn] = None
        return list(found)


def tilted(prices: Tensor, mean: float) -> Tensor:
    """Return p ~ exp(-beta * price) in every layer, with the beta that gives this mean total.

    Args:
        prices: Costs [layers, choices].
        mean: Between the least and the largest total; at either end as near as floats allow.

    Returns:
        Probabilities [layers, choices].
    """
    spread = float((prices.amax(1) - prices.amin(1)).mean()) or 1.0
    scaled, wanted = prices / spread, mean / spread

    def at(beta: float) -> Tensor:
        return torch.softmax(-beta * scaled, 1)

    low, high = -1.0, 1.0
    while (at(high) * scaled).sum() > wanted and high < 2.0**40:
        high *= 2
    while (at(low) * scaled).sum() < wanted and low > -(2.0**40):
        low *= 2
    for _ in range(100):
        middle = (low + high) / 2
        dear = bool((at(middle) * scaled).sum() > wanted)
        low, high = (middle, high) if dear else (low, middle)
    return at((low + high) / 2)
