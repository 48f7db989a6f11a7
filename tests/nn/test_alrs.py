import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.nn.alrs import factor, factors, learning_rate, mean_clipped, scaled
from bitswitch.spec.training import AlrsSpec

gradients = st.lists(st.floats(0, 100, width=32), min_size=1, max_size=30)
near = st.lists(st.floats(2**-20, 100, width=32), min_size=1, max_size=200)
rates = st.floats(1e-8, 1e-2)
widths = st.integers(2, 8)


def test_factors_are_the_published_ones():
    assert factors((8, 6, 4, 2)) == {8: 1.0, 6: 0.1, 4: 0.01, 2: 0.001}
    assert factors((4, 3, 2)) == {4: 1.0, 3: 0.5, 2: 0.1}


def test_released_factors_are_tenths_whatever_the_distance():
    assert factors((8, 6, 4, 2), "tenths") == factors((8, 6, 4, 2))
    assert factors((4, 3, 2), "tenths") == {4: 1.0, 3: 0.1, 2: 0.01}


def test_chosen_factors_replace_the_published_ones():
    assert factors((4, 2), {8: 1.0, 4: 0.3, 2: 0.2}) == {4: 0.3, 2: 0.2}


@given(widths, widths)
def test_factor_follows_equation_7(a, b):
    widest, bits = max(a, b), min(a, b)
    delta = widest - bits
    expected = 10 ** (-delta / 2) if delta % 2 == 0 else 5 * 10 ** (-(delta + 1) / 2)
    assert math.isclose(factor(bits, widest), expected, rel_tol=1e-12)


@given(gradients)
def test_gradient_term_clips_every_layer_at_one(largest):
    expected = 0.0
    for value in largest:
        clipped = value if value < 1.0 else 1.0
        expected += min(clipped, 1.0) / len(largest)
    assert math.isclose(mean_clipped(torch.tensor(largest)), expected, rel_tol=1e-9, abs_tol=1e-12)


@given(near)
def test_gradient_term_is_exact_in_any_order(largest):
    exact = math.fsum(min(value, 1.0) for value in largest) / len(largest)
    for ordered in (largest, largest[::-1], sorted(largest)):
        assert mean_clipped(torch.tensor(ordered)).item() == exact


def test_gradient_term_without_scales_is_zero():
    assert mean_clipped(torch.zeros(0)) == 0.0


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("factor-only", 5e-6),
        ("relative", 5e-6 * (1 - 2e-3)),
        ("clamped", 0.0),
        ("literal", 0.01 * (5e-4 - 2e-3)),
    ],
)
def test_variants_of_equation_6(variant, expected):
    rate = learning_rate(variant, 5e-4, 0.01, torch.tensor([2e-3], dtype=torch.float64))
    assert math.isclose(rate, expected, rel_tol=1e-12)


@given(rates, st.floats(1e-4, 1.0), st.floats(0, 1))
def test_only_the_literal_variant_can_ascend(base, eta, mean):
    mean = torch.tensor([mean], dtype=torch.float64)
    literal = learning_rate("literal", base, eta, mean)
    assert (literal < 0) == (eta * (base - mean) < 0)
    for variant in ("factor-only", "relative", "clamped"):
        assert 0 <= learning_rate(variant, base, eta, mean) <= base


@given(rates, st.floats(1e-4, 1.0))
def test_variants_agree_where_there_is_no_gradient(base, eta):
    for variant in ("factor-only", "relative", "clamped"):
        assert learning_rate(variant, base, eta, torch.zeros(3)) == eta * base


def test_the_rate_of_a_pass_is_the_scheduled_one_by_factor_and_gradient():
    alrs = AlrsSpec(factors={4: 1.0, 2: 0.5})
    largest = torch.tensor([0.5, 3.0])
    assert scaled(alrs, (4, 2), 2, [2, 2], 1e-3, largest) == 0.5 * 1e-3 * (1.0 - 0.75)


def test_a_mixed_pass_takes_the_mean_factor_of_its_operands():
    alrs = AlrsSpec(variant="factor-only", factors={4: 1.0, 2: 0.5})
    none = torch.zeros(0)
    assert scaled(alrs, (4, 2), None, [4, 2], 1.0, none) == 0.75
    assert scaled(alrs, (4, 2), 2, [4, 4], 1.0, none) == 0.5
