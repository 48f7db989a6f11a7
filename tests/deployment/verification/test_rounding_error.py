"""What rounding twice costs, against scalar arithmetic in fractions."""

from fractions import Fraction
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitswitch.deployment.verification.rounding_error import rounding_errors
from bitswitch.quant.quantizer import Width
from tests.deployment import exported

BITSET = (8, 6, 4, 2)


@cache
def network():
    return exported.quantized(exported.run_of(bitset=BITSET))


def one_layer(weights, scale):
    """Return the errors of the first layer of a network, by bit-width."""
    model = network()
    name, layer = next(iter(model.layers.items()))
    with torch.no_grad():
        flat = torch.zeros(layer.weight.numel())
        flat[: len(weights)] = torch.tensor(weights)
        layer.weight.copy_(flat.view(layer.weight.shape))
        layer.weight_quantizer.scale.fill_(scale)
    return {error.bits: error for error in rounding_errors(model) if error.layer == name}


def expected(weight, bits, scale, widest):
    """Return (clipping, rounding, rounding once, differs, cascade differs) of one weight.

    Python rounds to even.
    """
    ratio = 2 ** (widest - bits)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    exact = Fraction(weight) / (Fraction(scale) * ratio)
    half = 2 ** (widest - 1)
    wide = min(max(round(exact * ratio), -half), half - 1)
    inside = min(max(exact, Fraction(low)), Fraction(high))
    once = round(inside)
    twice = round(Fraction(round(inside * ratio), ratio))
    narrow = Fraction(scale) * ratio
    squares = [((code - inside) * narrow) ** 2 for code in (twice, once)]
    return ((inside - exact) * narrow) ** 2, *squares, once != twice, differs(wide, widest, bits)


def differs(code, widest, bits):
    """Return whether halving ``code`` bit by bit gives another one than rounding it once."""
    nearest = min(round(Fraction(code, 2 ** (widest - bits))), 2 ** (bits - 1) - 1)
    for width in range(widest - 1, bits - 1, -1):
        code = min(round(Fraction(code, 2)), 2 ** (width - 1) - 1)
    return code != nearest


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-4000, 4000), min_size=1, max_size=40))
def test_sums_are_those_of_single_weights(codes):
    scale = 2.0**-6  # weights are multiples of a power of two: no float operation rounds
    weights = [code * scale / 16 for code in codes]
    for bits, found in one_layer(weights, scale).items():
        each = [expected(weight, bits, scale, 8) for weight in weights]
        assert found.clipping == pytest.approx(float(sum(one[0] for one in each)))
        assert found.rounding == pytest.approx(float(sum(one[1] for one in each)))
        assert found.rounding_single == pytest.approx(float(sum(one[2] for one in each)))
        assert found.differing == sum(one[3] for one in each)
        assert found.cascade_differing == sum(one[4] for one in each)
        assert found.signal == pytest.approx(sum(weight**2 for weight in weights))


def test_both_parts_are_the_whole_error():
    model = exported.quantized(exported.run_of(bitset=BITSET))
    for error in rounding_errors(model):
        layer = model.layers[error.layer]
        width = Width.of(error.bits, BITSET)
        weight = layer.weight.detach()
        apart = (layer.weight_quantizer(weight, width) - weight).detach()
        whole = float(apart.double().square().sum())
        assert error.rounding + error.clipping == pytest.approx(whole, rel=1e-5)
        assert error.rounding_single <= error.rounding


def test_the_widest_codes_are_rounded_once():
    errors = [e for e in rounding_errors(exported.quantized(exported.run_of())) if e.bits == 8]
    assert errors
    assert all(e.differing == 0 and e.rounding == e.rounding_single for e in errors)


def test_gaussian_weights_differ_as_often_as_theory_says():
    """Of evenly spread weights, a share of 2^-shift / 2 lies where rounding twice goes wrong."""
    shares = {e.bits: e.differing / e.weights for e in of_normal_weights(200_000, BITSET)}
    for bits in (6, 4):
        shift = 8 - bits
        assert shares[bits] == pytest.approx(2.0**-shift / 2, rel=0.15)


def of_normal_weights(count, bitset, scale=3 / 128):
    weights = torch.randn(count, generator=torch.Generator().manual_seed(0))
    model = exported.quantized(exported.run_of(bitset=bitset))
    layer = next(iter(model.layers.values()))
    layer.weight = torch.nn.Parameter(weights)
    with torch.no_grad():
        layer.weight_quantizer.scale.fill_(scale)
    return rounding_errors(model)[: len(bitset)]


def test_a_cascade_moves_as_many_normal_weights_as_single_codes_say():
    count, bitset = 30_000, (8, 7, 6, 5, 4, 3, 2)
    weights = torch.randn(count, generator=torch.Generator().manual_seed(0)).tolist()
    codes = [min(max(round(weight / (3 / 128)), -128), 127) for weight in weights]
    found = {error.bits: error.cascade_differing for error in of_normal_weights(count, bitset)}
    assert found == {bits: sum(differs(code, 8, bits) for code in codes) for bits in bitset}
    # Of evenly spread codes it would be 0, 0, 0, 1/8, 1/8, 5/32 and, but for clipping, 5/32.
    assert [found[bits] for bits in (8, 7, 6)] == [0, 0, 0]
    for bits, share in ((5, 1 / 8), (4, 1 / 8), (3, 5 / 32)):
        assert found[bits] / count == pytest.approx(share, rel=0.05)
    assert all(error.cascade_differing == 0 for error in of_normal_weights(count, (4, 3, 2)))


def test_positions_follow_the_network():
    model = exported.quantized(exported.run_of())
    found = {error.layer: error.position for error in rounding_errors(model)}
    assert list(found) == list(model.layers)
    assert list(found.values()) == list(range(len(found)))


def test_other_quantizers_are_left_out():
    assert rounding_errors(exported.quantized(exported.run_of("adabits"))) == []
