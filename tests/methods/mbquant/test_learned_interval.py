import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.methods.mbquant.learned_interval import (
    IntervalActivationQuantizer,
    IntervalWeightQuantizer,
)
from bitswitch.quant.quantizer import Width

BITSET = (8, 6, 4, 2)
WEIGHT = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0)) * 0.1


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
