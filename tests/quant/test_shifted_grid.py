import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.quant.shifted_grid import on_shifted_grid, shifted_codes

FLOATS = st.floats(-50, 50, width=32)


def reference(x, scale, zero_point, low, high):
    """Return value and gradients to x, scale and zero point of one number, in Python floats."""
    v = (x - zero_point) / scale
    code = round(min(max(v, low), high))
    inside = low <= v <= high
    return code * scale + zero_point, float(inside), code - v if inside else code, float(not inside)


@given(x=FLOATS, k=st.integers(-3, 3), zero_point=st.integers(-8, 8), bits=st.integers(2, 8))
def test_it_follows_the_equations(x, k, zero_point, bits):
    low, high, scale = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 2.0**k
    values = [
        torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (x, scale, zero_point)
    ]
    y = on_shifted_grid(*values, low, high, gain=0.5)
    y.backward()
    expected, to_x, to_scale, to_zero_point = reference(x, scale, zero_point, low, high)
    assert y.item() == expected
    assert values[0].grad.item() == to_x
    assert values[1].grad.item() == pytest.approx(0.5 * to_scale, abs=1e-12)
    assert values[2].grad.item() == 0.5 * to_zero_point


def test_bounds_belong_to_the_inside():
    x = torch.tensor([-2.0, -3.0, 2.0, 3.0], requires_grad=True)
    on_shifted_grid(x, torch.tensor(1.0), torch.tensor(0.0), -2, 2).sum().backward()
    assert x.grad.tolist() == [1, 0, 1, 0]


def test_gradients_are_summed_over_what_shares_a_scale():
    x = torch.tensor([[0.3, 9.0], [9.0, 9.0]])
    scale = torch.ones(2, 1, requires_grad=True)
    zero_point = torch.zeros(2, 1, requires_grad=True)
    on_shifted_grid(x, scale, zero_point, -2, 1).sum().backward()
    torch.testing.assert_close(scale.grad, torch.tensor([[0.7], [2.0]]))
    assert zero_point.grad.tolist() == [[1], [2]]


@given(x=st.lists(FLOATS, min_size=1, max_size=20), zero_point=FLOATS)
def test_training_value_is_the_deployed_value(x, zero_point):
    x, scale, zero_point = torch.tensor(x), torch.tensor(0.37), torch.tensor(zero_point)
    codes = shifted_codes(x, scale, zero_point, -8, 7)
    assert torch.equal(codes.decode(), on_shifted_grid(x, scale, zero_point, -8, 7))
    assert codes.values.dtype == torch.int32
