import pytest
import torch

from bitswitch.errors import EncodingError
from bitswitch.quant.quantizer import Width
from bitswitch.quant.tanh import TanhQuantizer

BITSET = (8, 7, 6, 5, 4, 3, 2)
WEIGHT = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0)) * 0.1
ALL = [(s, r) for s in ("original", "modified", "centered") for r in ("none", "mean", "constant")]


@pytest.mark.parametrize(("scheme", "rescale"), [*ALL, ("centered", "stddev")])
@pytest.mark.parametrize("bits", BITSET)
def test_training_value_is_the_deployed_value(bits, scheme, rescale):
    quantize, width = TanhQuantizer(scheme, rescale), Width.of(bits, BITSET)
    codes = quantize.encode(WEIGHT, width)
    assert torch.equal(codes.decode(), quantize(WEIGHT, width))
    assert codes.values.dtype == torch.int32
    assert -(2 ** (bits - 1)) <= codes.values.min() < codes.values.max() < 2 ** (bits - 1)


@pytest.mark.parametrize("rescale", ["none", "constant"])
@pytest.mark.parametrize("scheme", ["modified", "centered"])
@pytest.mark.parametrize("bits", BITSET)
def test_narrow_codes_come_from_the_widest(bits, scheme, rescale):
    quantize, width = TanhQuantizer(scheme, rescale), Width.of(bits, BITSET)
    narrow = quantize.narrow(quantize.encode(WEIGHT, Width.of(8, BITSET)), width)
    expected = quantize.encode(WEIGHT, width)
    assert torch.equal(narrow.values, expected.values)
    assert torch.equal(narrow.decode(), expected.decode())


@pytest.mark.parametrize("bits", BITSET)
def test_with_stddev_narrow_scales_agree_up_to_rounding(bits):
    quantize, width = TanhQuantizer("centered", "stddev"), Width.of(bits, BITSET)
    narrow = quantize.narrow(quantize.encode(WEIGHT, Width.of(8, BITSET)), width)
    expected = quantize.encode(WEIGHT, width)
    assert torch.equal(narrow.values, expected.values)
    torch.testing.assert_close(narrow.decode(), expected.decode(), rtol=1e-6, atol=0)


def test_the_original_scheme_has_no_narrow_codes():
    quantize, width = TanhQuantizer("original"), Width.of(4, BITSET)
    with pytest.raises(NotImplementedError, match="do not follow"):
        quantize.narrow(quantize.encode(WEIGHT, width), width)


def test_it_learns_nothing():
    quantize = TanhQuantizer("centered", "constant")
    assert not list(quantize.parameters())
    assert not list(quantize.buffers())


def test_gain_is_what_multiplies_the_grid():
    width = Width.of(4, BITSET)
    plain, scaled = (TanhQuantizer("centered", r) for r in ("none", "constant"))
    gain = scaled.gain(WEIGHT, width)
    torch.testing.assert_close(plain(WEIGHT, width) * gain, scaled(WEIGHT, width))
    assert gain != 1


def test_half_precision_is_quantized_in_single():
    quantize, width = TanhQuantizer("centered"), Width.of(8, BITSET)
    half = WEIGHT.bfloat16()
    assert quantize(half, width).dtype == torch.float32
    assert torch.equal(quantize(half, width), quantize.encode(half, width).decode())


def test_nan_has_no_code():
    with pytest.raises(EncodingError):
        TanhQuantizer("centered").encode(torch.full((2, 2), float("nan")), Width.of(4, BITSET))
