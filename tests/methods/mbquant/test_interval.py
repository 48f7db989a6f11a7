import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.methods.mbquant.interval import interval_codes, on_interval


def reference(x, lower, upper, high, worth, start):
    """Value and slope of one number, as published: clip, round, spread over the range."""
    share = (x - lower) / (upper - lower)
    value = round(high * min(max(share, 0.0), 1.0)) * worth + start
    return value, high * worth / (upper - lower) if 0 <= share <= 1 else 0.0


@given(
    x=st.floats(-3, 3, width=32),
    up=st.integers(-2, 2),
    down=st.integers(-2, 2),
    middle=st.integers(-2, 2),
    bits=st.integers(2, 8),
)
def test_values_and_slopes_follow_the_equations(x, up, down, middle, bits):
    scale = torch.tensor([2.0**up, 2.0**down])
    high = 2.0**bits - 1
    value = torch.tensor(x, requires_grad=True)
    y = on_interval(value, scale, torch.tensor(float(middle)), high, 2 / high, -1.0)
    y.backward()
    lower, upper = middle - 2.0**down, middle + 2.0**up
    share = (x - lower) / (upper - lower) * high
    expected, slope = reference(x, lower, upper, high, 2 / high, -1.0)
    if abs(share - int(share) - 0.5) > 1e-3:  # a tie may fall either way in float32
        assert y.item() == pytest.approx(expected, abs=1e-5)
    if min(abs(x - lower), abs(x - upper)) > 1e-5:  # float32 may round x onto a bound
        assert value.grad.item() == pytest.approx(slope, rel=1e-5)


def test_bounds_learn_as_clipping_and_straight_through_rounding_say():
    x = torch.linspace(-2, 2, 101, dtype=torch.float64)
    upstream = torch.randn(101, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    upper, lower = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (1.2, -0.7))
    share = (x - lower) / (upper - lower)
    inside = (share >= 0) & (share <= 1)
    ((2 * share - 1) * inside * upstream).sum().backward()  # clipped values give no gradient
    middle = torch.tensor(0.25, dtype=torch.float64)
    scale = torch.tensor([0.95, 0.95], dtype=torch.float64, requires_grad=True)
    (on_interval(x, scale, middle, 3.0, 2 / 3, -1.0) * upstream).sum().backward()
    torch.testing.assert_close(scale.grad, torch.stack([upper.grad, -lower.grad]))


def test_values_at_the_bounds_learn_and_values_beyond_do_not():
    x = torch.tensor([-1.0, 1.0, -1.01, 1.01], requires_grad=True)
    on_interval(x, torch.ones(2), torch.zeros(()), 3.0, 1.0).sum().backward()
    assert x.grad.tolist() == [1.5, 1.5, 0.0, 0.0]


def test_codes_span_the_range():
    codes = interval_codes(torch.linspace(-2, 2, 1001), torch.ones(2), torch.zeros(()), 15.0)
    assert codes.unique().tolist() == list(range(16))
