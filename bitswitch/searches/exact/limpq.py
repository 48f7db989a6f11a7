"""LIMPQ: least sum of learned importances within the budget."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from bitswitch.contracts.search import Candidate, Problem
from bitswitch.contracts.sensitivity import Operand, Scores
from bitswitch.costs import Constraint, CostModel
from bitswitch.errors import SpecError
from bitswitch.searches.exact.exact import ExactOptions, ExactSearch, scores_of, tells_inputs
from bitswitch.searches.exact.integer_program import Loss, Program
from bitswitch.types import FLOAT_BITS, BitSet

OPERANDS: tuple[Operand, ...] = ("weight", "activation")


class Limpq(ExactSearch):
    """Bit-widths of weights and inputs, apart or shared, by the importance of each.

    Source: tang2022mixed; removal of outliers as in its public code.
    """

    source = "tang2022mixed"

    class Options(ExactOptions):
        """Those of the public code."""

        alpha: PositiveFloat = 2.0
        """Factor of the weights' importance in the sum."""
        outliers: Literal["remove", "keep"] = "remove"
        """Bit-widths of an operand that are less important than its next wider one."""
        compression: Annotated[float, Field(gt=1)] | None = None
        """Also store weights in at most this part of their size at 32 bits."""

    options: Options

    def search(self, problem: Problem) -> list[Candidate]:
        options = self.options
        program = Program(
            problem.costs,
            problem.choices,
            [problem.limit, *self._compression(problem.costs)],
            self._loss(problem),
        )
        return program.solve(options.candidates, options.time_limit_s)

    def _loss(self, problem: Problem) -> Loss:
        """Return the importance of a layer's weights and inputs, infinite for outliers."""
        scores = scores_of(problem)
        if not tells_inputs(scores):
            raise SpecError(
                f"Search 'limpq' reads the importance of weights and of inputs; '{scores.title}' "
                f"scores layers as a whole.\n  Take sensitivity step-size, or search ilp."
            )
        remove = self.options.outliers == "remove"
        removed = outliers(scores, problem.layers, problem.bitset) if remove else set()

        def loss(layer: str, weight: int, activation: int) -> float:
            if {(layer, "weight", weight), (layer, "activation", activation)} & removed:
                return math.inf
            return scores.of_policy(layer, weight, activation, self.options.alpha)

        return loss

    def _compression(self, costs: CostModel) -> Iterator[Constraint]:
        if self.options.compression is not None:
            size = FLOAT_BITS * sum(shape.weights for shape in costs.counted)
            yield Constraint("size", size / self.options.compression)


def outliers(scores: Scores, layers: list[str], bitset: BitSet) -> set[tuple[str, Operand, int]]:
    """Return (layer, operand, bits) wherever the next wider bit-width scores higher.

    The narrower of the two is the outlier: rounding more coarsely cannot matter less.
    """
    return {
        (layer, operand, narrow)
        for layer in layers
        for operand in OPERANDS
        for wide, narrow in pairwise(sorted(bitset, reverse=True))
        if scores.of_operand(layer, operand, narrow) < scores.of_operand(layer, operand, wide)
    }
