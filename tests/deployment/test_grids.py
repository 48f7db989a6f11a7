import pytest
import torch
from torch import nn

from bitswitch.conversion import quantized_layer
from bitswitch.deployment.grids import input_grids, weight_grids
from bitswitch.deployment.narrowing import narrow
from bitswitch.errors import EncodingError
from bitswitch.methods.adabits import AdaBits
from bitswitch.methods.lsq.affine import AffineActivationQuantizer
from bitswitch.quant.clipped import LearnedClipQuantizer
from bitswitch.quant.double_rounding import DoubleRoundingQuantizer
from bitswitch.quant.granularity import PerChannel, PerToken
from bitswitch.quant.lsq import ActivationQuantizer, WeightQuantizer
from bitswitch.quant.max_abs import MaxAbsQuantizer
from bitswitch.quant.quantizer import Codes, Quantizer, Width

from ..nn.small_network import double_rounding

BITSET = (8, 4, 2)


def layer(method=None, **options):
    torch.manual_seed(0)
    return quantized_layer(nn.Conv2d(3, 5, 3), method or double_rounding(BITSET, **options))


@pytest.mark.parametrize(
    ("granularity", "scales"),
    [("per-tensor", (1,)), ("per-channel", (5,)), ("per-group-1", (5, 3))],
)
def test_double_rounding_stores_one_row_of_scales(granularity, scales):
    conv = layer(weight_granularity=granularity)
    grids = weight_grids("c", conv, BITSET)
    assert (grids.rounding, grids.zero_point) == ("half-even", None)
    assert grids.scale.shape == (1, *scales)
    assert grids.codes.shape == conv.weight.shape


def test_a_grid_that_is_scaled_anew_stores_a_row_per_width():
    grids = weight_grids("c", layer(AdaBits(AdaBits.Options(), BITSET)), BITSET)
    assert grids.rounding == "floor"
    assert grids.scale.shape == grids.zero_point.shape == (3, 1)


@pytest.mark.parametrize("rounding", ["double", "shift"])
def test_the_rule_gives_the_codes_of_training(rounding):
    conv = layer(rounding=rounding)
    grids = weight_grids("c", conv, BITSET)
    for bits in BITSET:
        wanted = conv.weight_quantizer.encode(conv.weight, Width.of(bits, BITSET)).values
        assert torch.equal(narrow(grids.codes, 8, bits, grids.rounding).int(), wanted)


class Odd(DoubleRoundingQuantizer):
    def encode(self, x, width):
        codes = super().encode(x, width)
        return codes if width.bits == 8 else codes._replace(values=-codes.values)


class Unsigned(DoubleRoundingQuantizer):
    def encode(self, x, width):
        return super().encode(x, width)._replace(values=torch.full(x.shape, 200))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda w: DoubleRoundingQuantizer(w, BITSET, rounding="single"), "Rounding 'single'"),
        (lambda w: WeightQuantizer(w, BITSET), "WeightQuantizer has no narrow"),
        (lambda w: Odd(w, BITSET), "neither rounded nor floored"),
        (lambda w: Unsigned(w, BITSET), "at 8 bits are 200 to 200, not -128 to 127"),
        (
            lambda w: DoubleRoundingQuantizer(w, BITSET, PerChannel(axis=1)),
            r"scales \[1, 3, 1, 1\]",
        ),
    ],
)
def test_weights_that_need_more_than_codes_are_told(make, message):
    conv = layer()
    conv.weight_quantizer = make(conv.weight)
    with pytest.raises(EncodingError, match=message):
        weight_grids("c", conv, BITSET)


@pytest.mark.parametrize(
    ("make", "signed", "zero_point"),
    [
        (lambda: ActivationQuantizer(BITSET), False, False),
        (lambda: ActivationQuantizer(BITSET), True, False),
        (lambda: AffineActivationQuantizer(BITSET), False, True),
        (lambda: LearnedClipQuantizer(BITSET, 3.0, signed=False), False, False),
        (lambda: LearnedClipQuantizer(BITSET, 3.0, signed=True), True, True),
    ],
)
def test_grids_of_inputs(make, signed, zero_point):
    quantizer = make()
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(1000, generator=draw) * 4 + (-2 if signed else 0.5)
    quantizer.initialize(x)
    grids = input_grids("c", quantizer, BITSET)
    assert (grids.signed, grids.zero_point is not None) == (signed, zero_point)
    for row, bits in enumerate(BITSET):
        found = quantizer.encode(x, Width.of(bits, BITSET)).decode()
        codes = (found - (grids.zero_point[row] if zero_point else 0)) / grids.scale[row]
        torch.testing.assert_close(codes, codes.round(), rtol=0, atol=1e-4)


class Uneven(Quantizer):
    def encode(self, x, width):
        codes = x.sign() * x.abs().sqrt()
        high = int(width.unsigned_high)
        return Codes(codes.round().clamp(0, high).int(), torch.tensor(1.0))


class TwoScales(ActivationQuantizer):
    def encode(self, x, width):
        codes = super().encode(x, width)
        return codes._replace(scale=codes.scale.repeat(2))


class Narrow(MaxAbsQuantizer):
    def scale_of(self, x, width):
        return super().scale_of(x, width) / 2


class Wide(ActivationQuantizer):
    def bounds(self, width):
        return 0.0, 2 * width.unsigned_high


class HalfSigned(ActivationQuantizer):
    def bounds(self, width):
        return (width.signed_low, width.signed_high) if width.bits == 8 else super().bounds(width)


@pytest.mark.parametrize(
    ("quantizer", "message"),
    [
        (Uneven(), "at 8 bits is not even"),
        (TwoScales(BITSET), "several scales"),
        (Wide(BITSET), "at 8 bits are 0 to 510"),
        (HalfSigned(BITSET), "signed at some bit-widths"),
        (Narrow(PerToken()), "the largest magnitude over the largest signed code"),
    ],
)
def test_inputs_that_a_scale_does_not_describe_are_told(quantizer, message):
    with pytest.raises(EncodingError, match=message):
        input_grids("c", quantizer, BITSET)


def test_a_scale_per_token_is_a_rule_and_no_number():
    assert input_grids("c", MaxAbsQuantizer(PerToken()), BITSET) == (True, None, None)
