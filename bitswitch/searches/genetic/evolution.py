"""Evolution of policies: parents are kept, mutated and crossed, generation after generation."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import NamedTuple

import torch

from bitswitch.searches.sampling import Sampler
from bitswitch.searches.space import Vector, pick

Merit = tuple[float, float]
"""Larger is better."""


class EvolutionConfig(NamedTuple):
    """Of an evolution."""

    population: int
    """Policies of one generation."""
    generations: int
    """The first, random one included."""
    parents: int
    """Best policies so far, from which the next generation comes."""
    mutation: float
    """Probability that an entry of a mutant is drawn anew."""

    def within(self, evaluations: int) -> "EvolutionConfig":
        """Return sizes whose generations cost no more than ``evaluations`` in all.

        Where the published ones cost too much, population, parents and generations shrink by the
        same factor, so that few evaluations still make several generations. The last generation
        takes what is left.
        """
        factor = min(1.0, (evaluations / (self.population * self.generations)) ** 0.5)
        population = max(2, round(self.population * factor))
        return self._replace(
            population=population,
            parents=max(2, round(self.parents * factor)),
            generations=min(self.generations, -(-evaluations // population)),
        )


@dataclass(frozen=True)
class Evolution:
    """Breeds policies within a budget.

    Source: guo2020single, with parents that survive as in the public code of xu2023eqnet.
    """

    sampler: Sampler
    sizes: EvolutionConfig
    mutants: float
    """Share of the children; the others have two parents."""
    founders: Sequence[Vector] = ()
    """Policies of the first generation that are not drawn."""

    def run(
        self,
        judge: Callable[[Sequence[Vector]], Sequence[Merit]],
        allowed: Callable[[], int] | None = None,
    ) -> dict[Vector, Merit]:
        """Return all policies that lived, with their merit; none is judged twice.

        Args:
            judge: Gives the merits of one generation.
            allowed: How many policies may still be judged; None: any number.
        """
        known: dict[Vector, Merit] = {}
        parents: list[Vector] = []
        for _ in range(self.sizes.generations):
            count = self.sizes.population
            if allowed is not None:
                count = min(count, allowed())
            children = self._generation(parents, known, count)
            if not children:
                break
            known |= zip(children, judge(children), strict=True)
            parents = nlargest(self.sizes.parents, [*parents, *children], key=known.__getitem__)
        return known

    def _generation(
        self, parents: Sequence[Vector], known: dict[Vector, Merit], count: int
    ) -> list[Vector]:
        """Return ``count`` new policies: mutants, crossings, and random ones for what is missing.

        There are fewer where no more can be found.
        """
        children: dict[Vector, None] = {}
        if not parents:
            children = dict.fromkeys(self.founders[:count])
        else:
            mutants = round(self.mutants * count)
            for number in range(count):
                drawn = self._mutants(parents) if number < mutants else self._crossings(parents)
                child = self._feasible(drawn, known, children)
                if child is not None:
                    children[child] = None
        seen = known.keys() | children.keys()
        return [*children, *self.sampler.distinct(count - len(children), seen)]

    def _feasible(
        self, drawn: Iterator[Vector], known: dict[Vector, Merit], siblings: dict[Vector, None]
    ) -> Vector | None:
        """Return the first new policy within the budget, or one that is lowered to it, or None."""
        space, child = self.sampler.space, None
        for _ in range(self.sampler.options.attempts):
            child = next(drawn)
            if child not in known and child not in siblings and space.fits(child):
                return child
        assert child is not None
        child = space.repaired(child, self.sampler.generator)
        return None if child in known or child in siblings else child

    def _mutants(self, parents: Sequence[Vector]) -> Iterator[Vector]:
        """Yield mutants of one parent."""
        generator, bitset = self.sampler.generator, self.sampler.space.bitset
        parent = parents[pick(len(parents), generator)]
        shape = (self.sampler.options.attempts, len(parent))  # most children take many attempts
        while True:
            changes = (torch.rand(shape, generator=generator) < self.sizes.mutation).tolist()
            drawn = torch.randint(len(bitset), shape, generator=generator).tolist()
            for changed, indices in zip(changes, drawn, strict=True):
                yield tuple(
                    bitset[index] if change else bits
                    for bits, change, index in zip(parent, changed, indices, strict=True)
                )

    def _crossings(self, parents: Sequence[Vector]) -> Iterator[Vector]:
        """Yield children that have every entry from either of two parents."""
        generator = self.sampler.generator
        pair = torch.randperm(len(parents), generator=generator)[:2].tolist()
        first, second = parents[pair[0]], parents[pair[-1]]
        shape = (self.sampler.options.attempts, len(first))
        while True:
            for sides in (torch.rand(shape, generator=generator) < 0.5).tolist():
                yield tuple(
                    one if side else other
                    for one, other, side in zip(first, second, sides, strict=True)
                )
