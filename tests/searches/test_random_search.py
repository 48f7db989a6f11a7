import pytest

from bitswitch.costs import Constraint
from bitswitch.errors import InfeasibleBudgetError, SpecError
from bitswitch.searches.random_search import Random

from .exact_problems import policies
from .measured_problems import measured_problem, rough_loss


def search(posed, **options):
    return Random(Random.Options(**options)).search(posed)


@pytest.mark.parametrize("kind", ["conditional", "rejection", "repair"])
def test_the_best_of_all_allowed_evaluations_is_returned(kind):
    posed, measured = measured_problem(allowed=12)
    (best,) = search(posed, sampling=kind)
    assert len(measured.seen) == 12
    assert len({str(policy) for policy in measured.seen}) == 12
    assert all(posed.allows(policy) for policy in measured.seen)
    losses = {str(policy): rough_loss(policy) for policy in measured.seen}
    assert losses[str(best.policy)] == min(losses.values())
    assert best.objective == pytest.approx(10 + min(losses.values()), abs=0.06)


def test_enough_draws_find_the_optimum():
    posed, measured = measured_problem(weights=(1, 1, 1))
    (best,) = search(posed, slack=1.0, attempts=500)
    allowed = [policy for policy in policies(posed) if posed.allows(policy)]
    assert len(measured.seen) == len(allowed)
    assert rough_loss(best.policy) == min(map(rough_loss, allowed))


def test_one_bit_width_for_all_layers_is_evaluated_first_unless_told_otherwise():
    for limit, bits in ((Constraint("average-bits", 4.9), 4), (Constraint("size", 800), 4)):
        posed, measured = measured_problem(limit, allowed=1)
        assert search(posed)[0].policy == dict.fromkeys("abcd", (bits, bits))
        assert len(measured.seen) == 1
    posed, _ = measured_problem(Constraint("average-bits", 4.9), allowed=1)
    assert len(set(search(posed, first="drawn")[0].policy.values())) > 1


def test_operands_may_differ():
    posed, _ = measured_problem(tied=False, allowed=20)
    (best,) = search(posed)
    assert posed.allows(best.policy)
    assert any(weight != activation for weight, activation in best.policy.values())


def test_without_evaluations_there_is_no_result():
    with pytest.raises(SpecError):
        search(measured_problem(allowed=0)[0])


def test_an_impossible_budget_is_refused():
    with pytest.raises(InfeasibleBudgetError, match="can be met is 2"):
        search(measured_problem(Constraint("average-bits", 1.9))[0])


def test_the_generator_decides():
    def found(seed):
        posed, measured = measured_problem(allowed=3, seed=seed)
        search(posed)
        return measured.seen

    assert found(0) == found(0) != found(1)
