import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitswitch.methods.eq_net.elastic import Variant
from bitswitch.methods.eq_net.elastic_quantizers import (
    ElasticActivationQuantizer,
    ElasticWeightQuantizer,
)
from bitswitch.quant.granularity import PER_TENSOR, PerChannel
from bitswitch.quant.quantizer import Width

BITSET = (8, 4, 2)
DRAW = torch.Generator().manual_seed(0)
WEIGHT = torch.randn(6, 4, 3, 3, generator=DRAW) * torch.linspace(0.1, 2, 6).reshape(-1, 1, 1, 1)
VARIANTS = [
    Variant(symmetric, granularity)
    for symmetric in (True, False)
    for granularity in (PerChannel(), PER_TENSOR)
]


def error(quantizer, x, bits):
    return (quantizer(x, Width.of(bits, BITSET)) - x).square().mean().item()


@settings(max_examples=25, deadline=None)  # searches ranges
@given(
    x=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=20),
    bits=st.sampled_from(BITSET),
    symmetric=st.booleans(),
    zero_points=st.sampled_from(["signed", "magnitude"]),
)
def test_training_value_is_the_deployed_value(x, bits, symmetric, zero_points):
    x, width = torch.tensor(x), Width.of(bits, BITSET)
    quantize = ElasticActivationQuantizer(BITSET, zero_points=zero_points)
    quantize.initialize(x)
    quantize.choose(Variant(symmetric))
    codes = quantize.encode(x, width)
    assert torch.equal(codes.decode(), quantize(x, width))
    low, high = quantize.bounds(width)
    assert low <= codes.values.min() <= codes.values.max() <= high


@pytest.mark.parametrize("bits", BITSET)
def test_finer_granularity_starts_with_less_error(bits):
    quantize = ElasticWeightQuantizer(WEIGHT, BITSET)
    errors = {}
    for variant in VARIANTS:
        quantize.choose(variant)
        errors[variant] = error(quantize, WEIGHT, bits)
    for symmetric in (True, False):
        coarse, fine = Variant(symmetric), Variant(symmetric, PerChannel())
        assert errors[fine] < errors[coarse]


def test_few_candidates_per_channel_are_a_poor_start_at_few_bits():
    published = ElasticWeightQuantizer(WEIGHT, BITSET, channel_candidates=5)
    assert error(ElasticWeightQuantizer(WEIGHT, BITSET), WEIGHT, 2) < error(published, WEIGHT, 2)


def test_magnitudes_of_zero_points_break_negative_ones():
    shifted = WEIGHT - 3
    errors = {}
    for zero_points in ("signed", "magnitude"):
        quantize = ElasticWeightQuantizer(
            shifted, BITSET, Variant(False, PerChannel()), zero_points
        )
        errors[zero_points] = error(quantize, shifted, 8)
    assert errors["magnitude"] > 100 * errors["signed"]


def test_unsigned_until_a_negative_value_is_seen():
    quantize = ElasticActivationQuantizer(BITSET)
    width = Width.of(4, BITSET)
    assert quantize.bounds(width) == (0, 15)
    quantize.initialize(torch.tensor([-1e-3, 5.0]))
    assert quantize.bounds(width) == (-8, 7)
    quantize.initialize(torch.tensor([0.0, 5.0]))
    assert quantize.bounds(width) == (0, 15)


def test_state_carries_tables_and_signedness():
    source, target = ElasticActivationQuantizer(BITSET), ElasticActivationQuantizer(BITSET)
    source.initialize(torch.randn(100, generator=DRAW))
    target.load_state_dict(source.state_dict())
    x, width = torch.randn(50, generator=DRAW), Width.of(4, BITSET)
    for symmetric in (True, False):
        source.choose(Variant(symmetric))
        target.choose(Variant(symmetric))
        assert torch.equal(source(x, width), target(x, width))


@pytest.mark.parametrize("x", [torch.zeros(5), torch.full((5,), 2.0), torch.tensor([-3.0])])
@pytest.mark.parametrize("symmetric", [True, False])
def test_degenerate_inputs_get_a_finite_grid(x, symmetric):
    quantize = ElasticActivationQuantizer(BITSET)
    quantize.initialize(x)
    quantize.choose(Variant(symmetric))
    for bits in BITSET:
        assert (quantize(x, Width.of(bits, BITSET)) - x).abs().max() < 0.1 + 1e-3 * x.abs().max()
