"""What searches by the exact program have in common: options, and the scores they read."""

from pydantic import PositiveFloat, PositiveInt

from bitswitch.contracts.search import Problem, Search
from bitswitch.contracts.sensitivity import Scores
from bitswitch.errors import SpecError
from bitswitch.types import Strict


class ExactOptions(Strict):
    """How far the program is solved."""

    candidates: PositiveInt = 1
    """Best distinct policies; the one that is best on held-out images is taken."""
    time_limit_s: PositiveFloat | None = None
    """Of each policy; then the best found so far is taken, with a warning. None: to optimality."""


class ExactSearch(Search):
    """A search that solves a program to optimality."""

    scored = True
    options: ExactOptions

    def __init__(self, options: Strict) -> None:
        super().__init__(options)
        self.evaluates = self.options.candidates > 1


def scores_of(problem: Problem) -> Scores:
    """Return the scores of ``problem``.

    Raises:
        SpecError: there are none, or they cannot tell bit-widths of weights and inputs apart where
            ``problem`` wants both.
    """
    scores = problem.scores
    if scores is None:
        raise SpecError("This search reads scores: name a sensitivity in search.scores.")
    if not problem.tied and not tells_inputs(scores):
        raise SpecError(
            f"'{scores.title}' does not score inputs apart from weights, so it cannot choose a "
            f"bit-width for each.\n"
            f"  Set search.tied: true, or take a sensitivity that scores both, e.g. step-size."
        )
    return scores


def tells_inputs(scores: Scores) -> bool:
    """Return whether inputs are scored apart from weights."""
    return any(row.operand == "activation" for row in scores.rows)
