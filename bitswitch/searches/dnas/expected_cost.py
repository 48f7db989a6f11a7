"""What a network costs on average, whose layers take each bit-width with some probability."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from bitswitch.contracts.search import Problem


@dataclass(frozen=True)
class ExpectedCost:
    """A cost as a function of gates."""

    parts: Tensor
    """float32 [layers, bit-widths of weights, bit-widths of inputs]."""
    fixed: float
    """What no policy changes."""

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """Return the cost that the budget of ``problem`` limits."""
        costs, name, bitset = problem.costs, problem.limit.cost, problem.bitset
        table = [
            [[costs.part(name, shape, weight, inputs) for inputs in bitset] for weight in bitset]
            for shape in costs.layers
        ]
        return cls(torch.tensor(table), costs.fixed(name))

    def __call__(self, gates: Tensor) -> Tensor:
        """Return the mean cost, differentiable.

        Args:
            gates: Probabilities [layers, operands, bit-widths]; with one operand, weights and
                inputs take the same bit-width, with two, each its own.
        """
        parts = self.parts.to(gates)
        if gates.shape[1] == 1:
            same = parts.diagonal(dim1=1, dim2=2)
            return (gates[:, 0] * same).sum() + self.fixed
        return torch.einsum("lw,la,lwa->", gates[:, 0], gates[:, 1], parts) + self.fixed
