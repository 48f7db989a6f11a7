from math import sqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.errors import EncodingError
from bitswitch.methods.lsq.affine import AffineActivationQuantizer
from bitswitch.quant.quantizer import Width

BITSET = (8, 4, 2)
NUMBERS = st.floats(-20, 20, width=32)


def reference(x, scale, zero_point, low, high):
    """Return value and gradients to all of one number (bhalgat2020lsq, Eq. 3-5)."""
    v = (x - zero_point) / scale
    if v < low or v > high:
        code = low if v < low else high
        return code * scale + zero_point, 0.0, code, 1.0
    return round(v) * scale + zero_point, 1.0, round(v) - v, 0.0


@given(
    xs=st.lists(NUMBERS, min_size=1, max_size=12),
    exponent=st.integers(-4, 1),
    eighths=st.integers(-16, 16),
    bits=st.sampled_from(BITSET),
)
def test_it_follows_the_paper(xs, exponent, eighths, bits):
    scale, zero_point = 2.0**exponent, eighths / 8
    xs = [round(x * 64) / 64 for x in xs]  # so that nothing is lost to float32
    quantize = AffineActivationQuantizer(BITSET, gradient_scale=False)
    s, z = quantize.scale.of(bits), quantize.zero_point.of(bits)
    s.data.fill_(scale)
    z.data.fill_(zero_point)
    x = torch.tensor(xs).requires_grad_()
    y = quantize(x, Width.of(bits, BITSET))
    y.sum().backward()
    values, to_x, to_scale, to_zero_point = zip(
        *(reference(x, scale, zero_point, 0, 2**bits - 1) for x in xs), strict=True
    )
    assert y.tolist() == list(values)
    assert x.grad.tolist() == list(to_x)
    assert s.grad.item() == pytest.approx(sum(to_scale))
    assert z.grad.item() == sum(to_zero_point)


@given(xs=st.lists(NUMBERS, min_size=1, max_size=30), bits=st.sampled_from(BITSET))
def test_training_value_is_the_deployed_value(xs, bits):
    x, width = torch.tensor(xs), Width.of(bits, BITSET)
    quantize = AffineActivationQuantizer(BITSET)
    quantize.initialize(x)
    codes = quantize.encode(x, width)
    assert torch.equal(codes.decode(), quantize(x, width))
    assert 0 <= codes.values.min() <= codes.values.max() <= 2**bits - 1
    assert quantize.scale.of(bits) > 0


def test_negative_values_keep_their_sign():
    x = torch.nn.functional.silu(torch.linspace(-6, 6, 1001))
    quantize = AffineActivationQuantizer(BITSET)
    quantize.initialize(x)
    y = quantize(x, Width.of(4, BITSET))
    assert y.min() < -0.1
    assert (y - x).abs().max() < 0.7 * quantize.scale.of(4)


def test_bit_widths_are_independent_and_zero_points_are_no_scales():
    quantize = AffineActivationQuantizer(BITSET)
    quantize(torch.rand(5, 3) * 9, Width.of(4, BITSET)).sum().backward()
    used = [name for name, p in quantize.named_parameters() if p.grad is not None]
    assert used == ["scale.4", "zero_point.4"]
    assert list(quantize.scales()) == ["scale.8", "scale.4", "scale.2"]


@pytest.mark.parametrize(("count", "values"), [("image", 6), ("tensor", 24)])
def test_gradient_scale_counts_what_it_is_told(count, values):
    x, width = torch.randn(4, 6) * 9, Width.of(4, BITSET)
    grads = {}
    for scaled in (True, False):
        quantize = AffineActivationQuantizer(BITSET, scaled, count)
        quantize(x, width).sum().backward()
        grads[scaled] = [quantize.scale.of(4).grad, quantize.zero_point.of(4).grad]
    for with_scale, without in zip(grads[True], grads[False], strict=True):
        torch.testing.assert_close(with_scale, without / sqrt(values * 15))


@pytest.mark.parametrize("x", [torch.zeros(3), torch.full((3,), -2.0), torch.tensor([5.0])])
def test_equal_values_are_kept_exactly(x):
    quantize = AffineActivationQuantizer(BITSET)
    quantize.initialize(x)
    assert torch.equal(quantize(x, Width.of(2, BITSET)), x)


def test_nan_and_infinity():
    quantize, width = AffineActivationQuantizer(BITSET), Width.of(4, BITSET)
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0])
    quantize.initialize(x)
    assert quantize(x, width).tolist()[1:] == [15, 0, 1]
    with pytest.raises(EncodingError):
        quantize.encode(x, width)


def test_half_precision_is_quantized_in_single():
    quantize, width = AffineActivationQuantizer(BITSET), Width.of(4, BITSET)
    x = torch.randn(50).bfloat16()
    quantize.initialize(x)
    assert quantize(x, width).dtype == torch.float32
    assert torch.equal(quantize(x, width), quantize.encode(x, width).decode())


def test_state_dicts_that_say_offset_are_read():
    learned = AffineActivationQuantizer(BITSET)
    learned.initialize(torch.rand(64) - 0.3)
    state = {n.replace("zero_point", "offset"): v for n, v in learned.state_dict().items()}
    assert any(name.startswith("offset.") for name in state)
    loaded = AffineActivationQuantizer(BITSET)
    loaded.load_state_dict(state)
    assert torch.equal(loaded.zero_point.of(4), learned.zero_point.of(4))
