"""The shortest mean of gradients, against the closed form, all faces, and a general solver."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from bitswitch.methods.vertical_layer.min_norm import cosines, min_norm_weights

LENGTHS = st.sampled_from([0.0, 1e-6, 1e-3, 1.0, 1e3])


@st.composite
def gradients(draw, most=5):
    """Return up to ``most`` vectors in few dimensions, some equal, zero, or of odd lengths."""
    count, size = draw(st.integers(1, most)), draw(st.integers(1, 6))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = random.integers(-3, 4, (count, size)).astype(float)
    return rows * np.array([draw(LENGTHS) for _ in range(count)])[:, None]


def squared(weights, gram):
    return float(np.asarray(weights) @ gram @ np.asarray(weights))


def over_all_faces(gram):
    """Return the least squared length, by the stationary point of every subset of gradients."""
    least = min(gram.diagonal())
    for size in range(2, len(gram) + 1):
        for chosen in map(list, itertools.combinations(range(len(gram)), size)):
            inner = gram[np.ix_(chosen, chosen)]
            # Stationary on the face: inner a = m, sum a = 1.
            system = np.block(
                [[inner, -np.ones((size, 1))], [np.ones((1, size)), np.zeros((1, 1))]]
            )
            solution = np.linalg.lstsq(system, np.append(np.zeros(size), 1.0), rcond=None)[0][:size]
            if solution.min() >= 0 and abs(solution.sum() - 1) < 1e-9:
                least = min(least, squared(solution, inner))
    return least


@settings(deadline=None)
@given(gradients())
def test_no_face_holds_a_shorter_mean(rows):
    gram = rows @ rows.T
    weights = min_norm_weights(gram.tolist())
    assert min(weights) >= 0
    assert sum(weights) == pytest.approx(1)
    assert squared(weights, gram) <= over_all_faces(gram) + 1e-9 * gram.max()


@settings(deadline=None)
@given(gradients())
def test_the_mean_descends_in_every_objective(rows):
    gram = rows @ rows.T
    mean = np.array(min_norm_weights(gram.tolist())) @ rows
    assert (rows @ mean >= mean @ mean - 1e-9 * gram.max()).all()


@pytest.mark.parametrize("seed", range(8))
def test_a_general_solver_finds_the_same_weights(seed):
    rows = np.random.default_rng(seed).normal(0.3, 1, (4, 6))
    gram = rows @ rows.T
    found = minimize(
        lambda a: a @ gram @ a,
        np.full(4, 0.25),
        jac=lambda a: 2 * gram @ a,
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda a: a.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-15},
    )
    np.testing.assert_allclose(min_norm_weights(gram.tolist()), found.x, atol=1e-5)


@given(gradients(most=2))
def test_two_gradients_follow_the_closed_form(rows):
    """sener2018multitask, Eq. 4, for the weight of the first."""
    one, other = rows if len(rows) == 2 else (rows[0], rows[0])
    gram = np.array([[one @ one, one @ other], [one @ other, other @ other]])
    apart = (one - other) @ (one - other)
    share = min(max((other - one) @ other / apart, 0.0), 1.0) if apart else 0.5
    expected = squared([share, 1 - share], gram)
    assert squared(min_norm_weights(gram.tolist()), gram) == pytest.approx(
        expected, abs=1e-9 * gram.max()
    )


def test_gradients_of_zeros_count_alike():
    assert min_norm_weights([[0.0, 0.0], [0.0, 0.0]]) == [0.5, 0.5]


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_directions_do_not_know_lengths(one, other):
    rows = np.array([[one, 0.0], [0.6 * other, 0.8 * other]])
    np.testing.assert_allclose(cosines((rows @ rows.T).tolist()), [[1, 0.6], [0.6, 1]])
