from statistics import fmean, stdev

import pytest
import torch

from bitswitch.quant.regularizers import (
    UNIFORM_KURTOSIS,
    kurtosis_penalty,
    skewness_penalty,
    standardized_moment,
)

DRAW = torch.Generator().manual_seed(0)
WEIGHTS = [torch.randn(4, 3, generator=DRAW), torch.rand(2, 3, 3, 3, generator=DRAW)]


def moment(values, order):
    mean, spread = fmean(values), stdev(values)
    return fmean(((v - mean) / spread) ** order for v in values)


@pytest.mark.parametrize("order", [3, 4])
@pytest.mark.parametrize("weight", WEIGHTS)
def test_moments(weight, order):
    expected = moment(weight.flatten().tolist(), order)
    assert standardized_moment(weight, order).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_penalties_are_means_over_layers():
    kurtosis, skewness = (
        [moment(w.flatten().tolist(), order) for w in WEIGHTS] for order in (4, 3)
    )
    expected = fmean((k - UNIFORM_KURTOSIS) ** 2 for k in kurtosis)
    assert kurtosis_penalty(WEIGHTS).item() == pytest.approx(expected, rel=1e-5)
    expected = fmean(s**2 for s in skewness)
    assert skewness_penalty(WEIGHTS).item() == pytest.approx(expected, rel=1e-5)


def test_a_uniform_distribution_costs_nothing():
    uniform = torch.linspace(-1, 1, 10_001)
    assert kurtosis_penalty([uniform]).item() == pytest.approx(0, abs=1e-6)
    assert skewness_penalty([uniform]).item() == pytest.approx(0, abs=1e-6)


def test_scale_and_mean_do_not_matter():
    moved = [7 * w - 2 for w in WEIGHTS]
    torch.testing.assert_close(
        kurtosis_penalty(moved), kurtosis_penalty(WEIGHTS), rtol=1e-4, atol=1e-6
    )


def test_a_step_downhill_makes_weights_more_uniform():
    weight = torch.randn(500, generator=DRAW).requires_grad_()
    before = standardized_moment(weight, 4).item()
    (gradient,) = torch.autograd.grad(kurtosis_penalty([weight]), weight)
    after = standardized_moment(weight - 0.5 * gradient, 4).item()
    assert abs(after - UNIFORM_KURTOSIS) < abs(before - UNIFORM_KURTOSIS)
