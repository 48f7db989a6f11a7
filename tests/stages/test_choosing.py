from dataclasses import replace
from types import SimpleNamespace

import pytest

from bitswitch.contracts.search import Candidate
from bitswitch.costs import Constraint
from bitswitch.errors import PluginError
from bitswitch.stages.choosing import best_of
from tests.searches.exact_problems import cost_model, evaluation, problem

WHO = "search 'mine'"


def posed(found=(), remaining=0, **options):
    """Return a problem whose n-th evaluation gives the n-th (top-1, loss) of ``found``."""
    left = SimpleNamespace(found=list(found), count=remaining)

    def evaluate(policy, model=None):
        left.count -= 1
        return evaluation(*left.found.pop(0))

    made = problem(cost_model([1, 1]), Constraint("average-bits", 6.0), **options)
    return replace(made, evaluate=evaluate, remaining=lambda: left.count)


def candidates(*bits):
    return [Candidate({"a": first, "b": second}) for first, second in bits]


def test_the_best_on_held_out_images_is_chosen_and_of_equals_that_of_least_loss():
    three = candidates((8, 4), (6, 6), (4, 8))
    assert best_of(three, posed([(50, 2.0), (60, 3.0), (60, 1.0)], 3), WHO) is three[2]
    assert best_of(three, posed([(60, 2.0), (60, 2.0), (50, 0.0)], 9), WHO) is three[0]


@pytest.mark.parametrize("remaining", [0, 1])
def test_without_evaluations_the_first_is_chosen(remaining):
    three = candidates((8, 4), (6, 6), (4, 8))
    assert best_of(three, posed(remaining=remaining), WHO) is three[0]


def test_only_as_many_are_compared_as_may_be_evaluated():
    three = candidates((8, 4), (6, 6), (4, 8))
    assert best_of(three, posed([(50, 1.0), (40, 1.0)], 2), WHO) is three[0]


def test_a_single_candidate_is_not_evaluated():
    (one,) = candidates((8, 4))
    assert best_of([one], posed(remaining=5), WHO) is one


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"a": 8, "b": 6}, "average-bits 7; the budget is 6"),
        ({"a": 8}, "no bit-width for layer 'b'"),
        ({"a": 8, "b": 5}, "no bit-width 5"),
        ({"a": 2, "b": 2, "c": 2}, "names 'c'"),
        ({"a": 2, "b": (2, 32)}, r"\(2, 32\) \(weights, inputs\) in layer 'b'"),
        ({"a": 2, "b": (2, 4)}, r"asks for tied bit-widths of \{8,6,4,2\}"),
    ],
)
def test_whoever_returns_a_policy_that_is_not_allowed_is_named(policy, message):
    with pytest.raises(PluginError, match=message) as error:
        best_of([Candidate({"a": 2, "b": 2}), Candidate(policy)], posed(), WHO)
    assert WHO in str(error.value)


def test_operands_may_differ_where_they_are_not_tied():
    one = Candidate({"a": (2, 8), "b": (8, 2)})
    assert best_of([one], posed(tied=False), WHO) is one


def test_nothing_is_no_answer():
    with pytest.raises(PluginError, match="returns no policy"):
        best_of([], posed(), WHO)
