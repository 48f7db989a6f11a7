import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.errors import EncodingError
from bitswitch.quant.double_rounding import NESTED, DoubleRoundingQuantizer
from bitswitch.quant.granularity import PerChannel
from bitswitch.quant.grid import ROUNDINGS
from bitswitch.quant.quantizer import Width

BITSET = (8, 6, 4, 3, 2)


def reference(w, scale, bits):
    """huang2025nearly, Eq. 1-3, for one weight, in Python numbers."""

    def clip(code, bits):
        return min(max(code, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)

    wide = clip(round(w / scale), 8)
    return clip(round(wide / 2 ** (8 - bits)), bits) * scale * 2 ** (8 - bits)


def quantizer(weight, **options):
    return DoubleRoundingQuantizer(weight, BITSET, **options)


@given(w=st.floats(-3, 3, width=32), k=st.integers(3, 7), bits=st.sampled_from(BITSET))
def test_forward_follows_the_paper(w, k, bits):
    weight = torch.tensor([[w]])
    quantize = quantizer(weight)
    quantize.scale.data.fill_(2.0**-k)  # a power of two divides without rounding error
    assert quantize(weight, Width.of(bits, BITSET)).item() == reference(w, 2.0**-k, bits)


@given(
    weight=st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=20),
    scale=st.floats(2.0**-20, 10, width=32),
    bits=st.sampled_from(BITSET),
    rounding=st.sampled_from(sorted(ROUNDINGS)),
)
def test_training_value_is_the_deployed_value(weight, scale, bits, rounding):
    weight, width = torch.tensor([weight]), Width.of(bits, BITSET)
    quantize = quantizer(weight, rounding=rounding)
    quantize.scale.data.fill_(scale)
    codes = quantize.encode(weight, width)
    assert torch.equal(codes.decode(), quantize(weight, width))
    assert codes.values.dtype == torch.int32
    assert codes.values.min() >= width.signed_low
    assert codes.values.max() <= width.signed_high


@given(
    weight=st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=20),
    scale=st.floats(2.0**-20, 10, width=32),
    bits=st.sampled_from(BITSET),
    rounding=st.sampled_from(NESTED),
)
def test_narrow_codes_follow_from_the_widest_alone(weight, scale, bits, rounding):
    weight, width = torch.tensor([weight]), Width.of(bits, BITSET)
    quantize = quantizer(weight, rounding=rounding)
    quantize.scale.data.fill_(scale)
    narrow = quantize.narrow(quantize.encode(weight, Width.of(8, BITSET)), width)
    expected = quantize.encode(weight, width)
    assert torch.equal(narrow.values, expected.values)
    assert torch.equal(narrow.scale, expected.scale)


@pytest.mark.parametrize("rounding", ["single", "floor"])
def test_codes_from_float_weights_cannot_be_narrowed(rounding):
    weight = torch.randn(4, 5)
    quantize = quantizer(weight, rounding=rounding)
    codes = quantize.encode(weight, Width.of(8, BITSET))
    with pytest.raises(EncodingError, match="rounding 'double', 'cascade' or 'shift'"):
        quantize.narrow(codes, Width.of(4, BITSET))


def test_stored_codes_are_clipped_to_the_widest_range():
    weight = torch.tensor([[-10.0, 0.0, 10.0]])
    quantize = quantizer(weight)
    quantize.scale.data.fill_(0.01)
    for bits in BITSET:
        stored = quantize.stored(weight, Width.of(bits, BITSET))
        assert stored.tolist() == [[-128, 0, 127]]


def test_twice_and_once_rounded_weights_differ():
    weight = torch.tensor([[1.48]])  # 23.68: rounded to 24, a tie that goes to 2; 1.48 goes to 1
    double, single = (quantizer(weight, rounding=r) for r in ("double", "single"))
    for q in (double, single):
        q.scale.data.fill_(1 / 16)
    width = Width.of(4, BITSET)
    assert double.encode(weight, width).values.item() == 2
    assert single.encode(weight, width).values.item() == 1


def scale_gradient(weight, bits, **options):
    quantize = quantizer(weight, gradient_scale=False, **options)
    quantize.scale.data.fill_(0.05)
    quantize(weight, Width.of(bits, BITSET)).sum().backward()
    return quantize.scale.grad


@pytest.mark.parametrize("bits", BITSET)
def test_scale_gradient_is_the_derivative_of_the_forward(bits):
    weight = torch.randn(4, 5)
    scale, ratio = 0.05, 2.0 ** (8 - bits)
    high = 2 ** (bits - 1) - 1
    v = weight / (scale * ratio)
    codes = ((weight / scale).round() / ratio).round().clamp(-high - 1, high)
    inside = (v >= -high - 1) & (v <= high)
    expected = ratio * (codes - torch.where(inside, v, 0)).sum()
    torch.testing.assert_close(scale_gradient(weight, bits), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bits", BITSET)
def test_printed_gradient_lacks_the_factor(bits):
    weight = torch.randn(4, 5)
    derivative = scale_gradient(weight, bits, rounding="single")
    printed = scale_gradient(weight, bits, rounding="single", gradient="printed")
    torch.testing.assert_close(printed * 2 ** (8 - bits), derivative)


def test_gradient_scale_counts_weights_per_scale():
    weight, width = torch.randn(4, 5), Width.of(4, BITSET)
    grads = []
    for scaled in (True, False):
        quantize = quantizer(weight, granularity=PerChannel(), gradient_scale=scaled)
        quantize(weight, width).sum().backward()
        grads.append(quantize.scale.grad)
    torch.testing.assert_close(grads[0], grads[1] / (5 * 7) ** 0.5)


@pytest.mark.parametrize(
    "weight", [torch.zeros(2, 3), torch.full((2, 3), 0.7), torch.tensor([[-0.3]])]
)
@pytest.mark.parametrize("bits", BITSET)
def test_degenerate_weights_stay_finite(weight, bits):
    quantize, width = quantizer(weight), Width.of(bits, BITSET)
    y = quantize(weight, width)
    y.sum().backward()
    assert y.isfinite().all()
    assert quantize.scale.grad.isfinite()
    assert torch.equal(quantize.encode(weight, width).decode(), y)
    assert ((y - weight).abs() <= quantize.scale * width.ratio * 1.0001).all()


def test_a_scale_that_is_not_positive_is_used_as_it_is():
    weight = torch.tensor([[0.5, -0.5]])
    quantize = quantizer(weight)
    quantize.scale.data.fill_(-0.1)
    assert quantize(weight, Width.of(8, BITSET)).tolist()[0] == pytest.approx([0.5, -0.5])
    quantize.scale.data.zero_()
    assert quantize(weight, Width.of(8, BITSET)).tolist() == [[0, 0]]
