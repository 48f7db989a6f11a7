import numpy as np
import pytest

from bitswitch.methods.lapq.powell import Budget, interpolated_minimum, powell

CENTRE = np.array([0.4, -0.3, 0.8])
MIX = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.3], [0.0, 0.3, 3.0]])
FREE = Budget(None, None)


def bowl(x):
    return float((x - CENTRE) @ MIX @ (x - CENTRE))


def test_it_finds_the_minimum_of_a_bowl():
    np.testing.assert_allclose(powell(bowl, np.zeros(3), FREE), CENTRE, atol=1e-3)


@pytest.mark.parametrize("evaluations", [1, 5, 30])
def test_it_evaluates_no_more_often_than_allowed(evaluations):
    seen = []

    def counted(x):
        seen.append(bowl(x))
        return seen[-1]

    best = powell(counted, np.zeros(3), Budget(None, evaluations))
    assert len(seen) == evaluations
    assert bowl(best) == min(seen)


def test_it_never_ends_worse_than_it_began():
    def deceptive(x):  # a narrow pit at the start, a slope elsewhere
        return -10.0 if not x.any() else float(x.sum())

    assert not powell(deceptive, np.zeros(2), Budget(2, 200)).any()


def test_more_iterations_come_closer():
    values = [bowl(powell(bowl, np.zeros(3), Budget(n, None))) for n in (0, 1, 3)]
    assert values[0] > values[1] > values[2]
    assert values[0] == bowl(np.zeros(3))


def test_values_that_are_not_finite_are_avoided():
    def broken(x):
        return float("nan") if x[0] > 0.5 else bowl(x)

    best = powell(broken, np.zeros(3), Budget(5, None))
    assert best[0] <= 0.5
    assert bowl(best) < bowl(np.zeros(3))


def test_there_may_be_nothing_to_choose():
    assert powell(lambda x: 1.0, np.zeros(0), FREE).size == 0


def test_a_parabola_through_three_points():
    at = interpolated_minimum([2.0, 2.5, 3.0], [(p - 2.6) ** 2 for p in (2.0, 2.5, 3.0)])
    assert at == pytest.approx(2.6, abs=4 / 49)
    assert interpolated_minimum([2.0, 2.5, 3.0], [3.0, 2.5, 2.0]) == 5.0
