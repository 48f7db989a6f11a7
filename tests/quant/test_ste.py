import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.quant.ste import on_grid


def scalar_gradients(x, scale, low, high):
    """esser2020learned, Eq. 3 and 5, for one value."""
    v = x / scale
    if v < low:
        return 0.0, float(low)
    if v > high:
        return 0.0, float(high)
    return 1.0, round(v) - v


def gradients(x, scale, *grid, upstream=None, **options):
    x = torch.tensor(x, requires_grad=True)
    scale = torch.tensor(scale, requires_grad=True)
    y = on_grid(x, scale, *grid, **options)
    return torch.autograd.grad(y, [x, scale], torch.ones_like(y) if upstream is None else upstream)


@given(x=st.floats(-4, 4, width=32), k=st.integers(0, 6), bits=st.integers(2, 8))
def test_gradients_follow_the_scalar_reference(x, k, bits):
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    to_x, to_scale = gradients([x], 2.0**-k, float(low), float(high))
    expected = scalar_gradients(x, 2.0**-k, low, high)
    assert (to_x.item(), to_scale.item()) == pytest.approx(expected, abs=1e-5)


def test_the_interval_is_closed():
    to_x, _ = gradients([-2.0, -2.0001, 1.0, 1.0001, 0.0], 1.0, -2.0, 1.0)
    assert to_x.tolist() == [1, 0, 1, 0, 1]


def test_gain_scales_the_gradient_of_the_scale_alone():
    plain, scaled = (gradients([0.3, 5.0], 1.0, -2.0, 1.0, gain=gain) for gain in (1.0, 0.25))
    assert torch.equal(plain[0], scaled[0])
    assert torch.equal(plain[1] / 4, scaled[1])


def test_a_slope_may_round_otherwise_than_the_forward():
    _, own = gradients([0.75], 1.0, -2.0, 1.0, "floor")
    _, other = gradients([0.75], 1.0, -2.0, 1.0, "floor", slope="single")
    assert (own.item(), other.item()) == (-0.75, 0.25)


def test_scales_per_channel_get_their_own_gradients():
    x, scale = torch.randn(4, 3, 2), torch.rand(4, 1, 1) + 0.5
    together = gradients(x.tolist(), scale.tolist(), -2.0, 1.0)[1]
    alone = [gradients(x[i].tolist(), scale[i].item(), -2.0, 1.0)[1].item() for i in range(4)]
    torch.testing.assert_close(together.flatten(), torch.tensor(alone))


def test_infinite_values_are_clipped_and_get_no_gradient():
    to_x, to_scale = gradients([float("inf"), -float("inf")], 1.0, -2.0, 1.0)
    assert to_x.tolist() == [0, 0]
    assert to_scale.item() == -1


def test_nan_reaches_the_output_and_the_scale_but_no_other_value():
    x = torch.tensor([float("nan"), 0.3])
    y = on_grid(x, torch.tensor(1.0), -2.0, 1.0)
    assert y.isnan().tolist() == [True, False]
    to_x, to_scale = gradients(x.tolist(), 1.0, -2.0, 1.0)
    assert to_x.tolist() == [0, 1]
    assert to_scale.isnan()


def test_a_second_derivative_is_refused():
    x = torch.tensor([0.3], requires_grad=True)
    y = on_grid(x, torch.tensor(1.0), -2.0, 1.0).square().sum()
    (to_x,) = torch.autograd.grad(y, x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        to_x.sum().backward()
