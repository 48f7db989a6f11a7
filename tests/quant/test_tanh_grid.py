from math import floor, tanh

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from bitswitch.quant.tanh_grid import cell, grid_gain, on_tanh_grid, tanh_codes

SCHEMES = ("original", "modified", "centered")
WEIGHT = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0))


def point(weights, k, scheme, bits):
    """Code (unsigned) and value of one of several weights, in double precision."""
    unit = (tanh(weights[k]) / max(abs(tanh(w)) for w in weights) + 1) / 2
    levels = 2**bits - 1
    if scheme == "original":
        place = levels * unit
        assume(abs(place % 1 - 0.5) > 1e-4)
        return round(place), 2 * round(place) / levels - 1
    place = 2**bits * unit
    assume(min(place % 1, 1 - place % 1) > 1e-4 or unit in (0, 1))
    code = min(floor(place), levels)
    return code, 2 * (code + (0.5 if scheme == "centered" else 0)) / 2**bits - 1


@given(
    weights=st.lists(st.floats(-3, 3, width=16), min_size=2, max_size=5).filter(any),
    scheme=st.sampled_from(SCHEMES),
    bits=st.integers(2, 8),
)
def test_it_follows_the_scalar_reference(weights, scheme, bits):
    x, levels, half = torch.tensor(weights)[:, None], 2.0**bits - 1, 2.0 ** (bits - 1)
    expected = [point(weights, k, scheme, bits) for k in range(len(weights))]
    codes = tanh_codes(x, scheme, levels, half) + half
    assert codes.flatten().tolist() == [code for code, _ in expected]
    y = on_tanh_grid(x, scheme, "none", levels, half)
    assert y.flatten().tolist() == pytest.approx([value for _, value in expected], abs=2e-7)


def gradient(weight, upstream, scheme="centered", rescale="none"):
    weight = weight.clone().requires_grad_()
    y = on_tanh_grid(weight, scheme, rescale, 15.0, 8.0)
    return torch.autograd.grad(y, weight, upstream)[0]


def unrounded(weight, upstream):
    """The gradient of tanh(w) / max|tanh(w)| by automatic differentiation, in double precision."""
    weight = weight.double().requires_grad_()
    squashed = weight.tanh()
    return torch.autograd.grad(squashed / squashed.abs().amax(), weight, upstream.double())[0]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_gradient_is_that_of_the_unrounded_weights(scheme):
    upstream = torch.randn(WEIGHT.shape, generator=torch.Generator().manual_seed(1))
    expected = unrounded(WEIGHT, upstream).float()
    torch.testing.assert_close(gradient(WEIGHT, upstream, scheme), expected, rtol=1e-4, atol=1e-5)


def test_gradient_of_the_maximum_is_not_detached():
    weight = torch.tensor([[0.5, -1.0]])
    to_weight = gradient(weight, torch.ones(1, 2))
    peak = tanh(1.0)
    at_peak = (-tanh(0.5) / peak**2 + 1 / peak - 1 / peak) * (1 - peak**2) * -1
    assert to_weight.tolist()[0] == pytest.approx([(1 - tanh(0.5) ** 2) / peak, at_peak], rel=1e-5)


def test_weights_that_tie_for_the_maximum_share_its_gradient():
    weight, upstream = torch.tensor([[1.0, -1.0, 0.25]]), torch.tensor([[1.0, 2.0, 3.0]])
    expected = unrounded(weight, upstream).float()
    torch.testing.assert_close(gradient(weight, upstream), expected)


@pytest.mark.parametrize("rescale", ["mean", "constant", "stddev"])
def test_rescaling_multiplies_value_and_gradient(rescale):
    upstream = torch.ones_like(WEIGHT)
    codes = tanh_codes(WEIGHT, "centered", 15.0, 8.0)
    gain = grid_gain(WEIGHT, codes, "centered", rescale, 15.0)
    plain = on_tanh_grid(WEIGHT, "centered", "none", 15.0, 8.0)
    scaled = on_tanh_grid(WEIGHT, "centered", rescale, 15.0, 8.0)
    torch.testing.assert_close(scaled, plain * gain)
    expected = gradient(WEIGHT, upstream) * gain
    torch.testing.assert_close(gradient(WEIGHT, upstream, rescale=rescale), expected)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_rescaled_weights_have_the_wanted_deviation(scheme):
    y = on_tanh_grid(WEIGHT, scheme, "constant", 15.0, 8.0)
    assert y.std().item() == pytest.approx((6 * 9) ** -0.5, rel=1e-5)
    y = on_tanh_grid(WEIGHT, scheme, "stddev", 15.0, 8.0)
    assert y.std().item() == pytest.approx(WEIGHT.std().item(), rel=1e-5)


def test_constant_rescaling_of_linear_and_depthwise_weights_counts_the_outputs():
    for shape, count in (((10, 64), 10), ((16, 1, 3, 3), 144)):
        weight = torch.randn(shape, generator=torch.Generator().manual_seed(2))
        y = on_tanh_grid(weight, "centered", "constant", 255.0, 128.0)
        assert y.std().item() == pytest.approx(count**-0.5, rel=1e-5)


def test_the_modified_grid_has_a_negative_mean_and_the_others_do_not():
    means = {s: on_tanh_grid(WEIGHT, s, "none", 3.0, 2.0).mean().item() for s in SCHEMES}
    assert means["modified"] == pytest.approx(means["centered"] - 2**-2, abs=1e-6)
    assert abs(means["centered"]) < 0.1
    assert abs(means["original"]) < 0.1


@pytest.mark.parametrize("scheme", ["modified", "centered"])
def test_cells_nest(scheme):
    wide = tanh_codes(WEIGHT, scheme, 255.0, 128.0).int()
    for bits in range(2, 8):
        narrow = tanh_codes(WEIGHT, scheme, 2.0**bits - 1, 2.0 ** (bits - 1)).int()
        assert torch.equal(wide >> (8 - bits), narrow)


def test_codes_reach_both_ends_on_the_original_grid():
    for bits in range(2, 9):
        scale, zero_point = cell("original", 2**bits - 1)
        half = 2 ** (bits - 1)
        assert -half * scale + zero_point == pytest.approx(-1)
        assert (half - 1) * scale + zero_point == pytest.approx(1)


@pytest.mark.parametrize("rescale", ["none", "mean", "constant", "stddev"])
@pytest.mark.parametrize("weight", [torch.zeros(2, 3), torch.full((1, 1), -0.3)])
def test_degenerate_weights_stay_finite(weight, rescale):
    assert on_tanh_grid(weight, "centered", rescale, 15.0, 8.0).isfinite().all()
    assert gradient(weight, torch.ones_like(weight), rescale=rescale).isfinite().all()


def test_nan_spreads_to_all_weights():
    weight = torch.tensor([[float("nan"), 0.5]])
    assert on_tanh_grid(weight, "centered", "none", 15.0, 8.0).isnan().all()
