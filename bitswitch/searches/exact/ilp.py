"""ILP: the integer program of the target paper, with the objective it prints and two others."""

from typing import Literal, Self

from pydantic import model_validator

from bitswitch.contracts.search import Candidate, Problem
from bitswitch.errors import SpecError
from bitswitch.searches.exact.exact import ExactOptions, ExactSearch, scores_of
from bitswitch.searches.exact.integer_program import Loss, Program


class Ilp(ExactSearch):
    """The policies with the least objective within the budget, by an exact solver.

    Source: huang2025nearly, Alg. 2; ``omega``: dong2020hawq.
    """

    source = "huang2025nearly"

    class Options(ExactOptions):
        """The printed objective favours insensitive layers, so it is not the default."""

        objective: Literal["omega", "as-printed", "sign-fixed"] = "omega"
        """``omega``: least sum of scores at the chosen bit-widths. With one score per layer,
        ``as-printed``: least sum of score times bit-width, ``sign-fixed``: largest."""
        budget_kind: Literal["at-most", "exact"] = "at-most"
        """``exact``: the mean bit-width is the budget, as printed."""

        @model_validator(mode="after")
        def _something_to_choose(self) -> Self:
            if self.objective == "as-printed" and self.budget_kind == "at-most":
                raise ValueError(
                    "objective 'as-printed' within at most a budget gives every layer the "
                    "narrowest bit-width; set budget_kind: exact"
                )
            return self

    options: Options

    def objection(self, cost: str) -> str | None:
        if self.options.budget_kind == "at-most" or cost == "average-bits":
            return None
        return (
            f"No policy has exactly a given {cost}: budget_kind 'exact' is for budgets on "
            f"average-bits.\n  Set budget_kind: at-most."
        )

    def search(self, problem: Problem) -> list[Candidate]:
        options, exact = self.options, self.options.budget_kind == "exact"
        if reason := self.objection(problem.limit.cost):
            raise SpecError(reason)
        program = Program.of(problem, self._loss(problem), exact)
        return program.solve(options.candidates, options.time_limit_s)

    def _loss(self, problem: Problem) -> Loss:
        scores = scores_of(problem)
        if self.options.objective == "omega":
            return scores.of_policy
        sign = 1 if self.options.objective == "as-printed" else -1
        return lambda layer, weight, activation: sign * weight * scores.of_layer(layer)
