import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.quant.interval import (
    IntervalActivationQuantizer,
    IntervalWeightQuantizer,
    interval_codes,
    on_interval,
)
from bitswitch.quant.quantizer import Width

BITSET = (8, 6, 4, 2)
WEIGHT = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0)) * 0.1


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
    if min(abs(x - lower), abs(x - upper)) > 1e-5 or slope == 0:
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


def test_weights_have_two_bits_at_every_width():
    quantize = IntervalWeightQuantizer(WEIGHT)
    values = [quantize(WEIGHT, Width.of(bits, BITSET)) for bits in BITSET]
    assert all(torch.equal(value, values[0]) for value in values)
    torch.testing.assert_close(values[0].unique(), torch.tensor([-1.0, -1 / 3, 1 / 3, 1.0]))


def test_weights_start_at_three_deviations():
    quantize = IntervalWeightQuantizer(WEIGHT)
    torch.testing.assert_close(quantize.scale.data, (3 * WEIGHT.std()).repeat(2))
    assert quantize.middle == 0


def test_activations_start_at_the_minimum_and_the_unfolded_deviation():
    values = torch.randn(10_000, generator=torch.Generator().manual_seed(2)).relu()
    quantize = IntervalActivationQuantizer(BITSET)
    quantize.initialize(values)
    for bits in BITSET:
        up, down = quantize.scale.of(bits)
        torch.testing.assert_close(quantize.middle - down, values.min())
        torch.testing.assert_close(quantize.middle + up, values.std() * 3 / 0.60281)


@pytest.mark.parametrize("values", [torch.zeros(5), torch.full((5,), 2.0), torch.tensor([-3.0])])
def test_values_without_spread_still_give_an_interval(values):
    quantize = IntervalActivationQuantizer(BITSET)
    quantize.initialize(values)
    assert all((scale > 0).all() for scale in quantize.scales().values())
    assert (IntervalWeightQuantizer(values[:1]).scale > 0).all()


@given(
    x=st.lists(st.floats(-10, 10, width=32), min_size=2, max_size=20), bits=st.sampled_from(BITSET)
)
def test_training_value_is_the_deployed_value(x, bits):
    x, width = torch.tensor(x), Width.of(bits, BITSET)
    activations = IntervalActivationQuantizer(BITSET)
    activations.initialize(x)
    for quantize in (activations, IntervalWeightQuantizer(x)):
        assert torch.equal(quantize.encode(x, width).decode(), quantize(x, width))


def test_narrow_codes_are_the_widest():
    quantize = IntervalWeightQuantizer(WEIGHT)
    wide = quantize.encode(WEIGHT, Width.of(8, BITSET))
    for bits in BITSET:
        width = Width.of(bits, BITSET)
        assert torch.equal(
            quantize.narrow(wide, width).decode(), quantize.encode(WEIGHT, width).decode()
        )


def test_codes_span_the_range():
    codes = interval_codes(torch.linspace(-2, 2, 1001), torch.ones(2), torch.zeros(()), 15.0)
    assert codes.unique().tolist() == list(range(16))
