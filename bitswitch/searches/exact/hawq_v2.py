"""HAWQ-V2: least second-order loss within the budget."""

from bitswitch.contracts.search import Candidate, Problem
from bitswitch.nn.blocks import shortcut_leaders
from bitswitch.searches.exact.exact import ExactOptions, ExactSearch, scores_of
from bitswitch.searches.exact.integer_program import Program


class HawqV2(ExactSearch):
    """The policy on the Pareto front of loss and cost that the budget allows.

    The front is published as a search through all policies; as the loss is a sum over layers, the
    exact program finds the same policy.

    Source: dong2020hawq; the shared shortcut: public code of yao2021hawqv3.
    """

    source = "dong2020hawq"

    class Options(ExactOptions):
        """What layers share."""

        share_shortcut: bool = False
        """A shortcut's convolution takes the bit-widths of its block's first one (HAWQ-V3)."""

    options: Options

    def search(self, problem: Problem) -> list[Candidate]:
        options = self.options
        program = Program(
            problem.costs,
            problem.choices,
            (problem.limit,),
            scores_of(problem).of_policy,
            leaders=shortcut_leaders(problem.layers) if options.share_shortcut else {},
        )
        return program.solve(options.candidates, options.time_limit_s)
