import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.quant.floor import FloorQuantizer
from bitswitch.quant.granularity import PerChannel
from bitswitch.quant.quantizer import Codes, Width

BITSET = (8, 6, 4, 3, 2)
WIDTHS = {bits: Width.of(bits, BITSET) for bits in BITSET}


def quantizer(weight, scale=None, **options):
    quantize = FloorQuantizer(weight, BITSET, **options)
    if scale is not None:
        quantize.scale.data.fill_(scale)
    return quantize


@given(w=st.floats(-3, 3, width=32), k=st.integers(3, 7), bits=st.sampled_from(BITSET))
def test_every_bit_width_is_floored(w, k, bits):
    weight, scale = torch.tensor([[w]]), 2.0 ** (8 - k - bits)  # divides without rounding error
    code = min(max(math.floor(w / scale), -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)
    assert quantizer(weight, 2.0**-k)(weight, WIDTHS[bits]).item() == code * scale


WEIGHTS = st.lists(st.floats(-1e3, 1e3, width=32, allow_subnormal=False), min_size=1, max_size=20)


@given(weight=WEIGHTS, scale=st.floats(2.0**-20, 10, width=32), bits=st.sampled_from(BITSET))
def test_narrow_codes_are_shifted_wide_ones_and_what_was_trained(weight, scale, bits):
    weight = torch.tensor([weight])
    quantize = quantizer(weight, scale)
    wide = quantize.encode(weight, WIDTHS[8])
    codes = quantize.encode(weight, WIDTHS[bits])
    assert torch.equal(codes.values, wide.values >> (8 - bits))
    assert torch.equal(quantize.narrow(wide, WIDTHS[bits]).decode(), quantize(weight, WIDTHS[bits]))


@pytest.mark.parametrize("bits", BITSET)
def test_narrowing_needs_the_widest_codes_alone(bits):
    weight = torch.randn(6, 50)
    weight[:, 0] = -5
    quantize = quantizer(weight, granularity=PerChannel())
    expected = quantize.encode(weight, WIDTHS[bits])
    wide = quantize.encode(weight, WIDTHS[8])
    stored = Codes(wide.values.clone(), wide.scale.clone())
    quantize.scale.data.zero_()
    narrowed = quantize.narrow(stored, WIDTHS[bits])
    assert torch.equal(narrowed.values, expected.values)
    assert torch.equal(narrowed.decode(), expected.decode())
    assert narrowed.values.min() == -(2 ** (bits - 1))


def reference_gradients(weight, upstream, scale, bits):
    """Of the weights, and of the scale as the derivative of the forward, in Python numbers."""
    high, ratio = 2 ** (bits - 1) - 1, 2 ** (8 - bits)
    to_weight, to_scale = [], 0.0
    for w, g in zip(weight, upstream, strict=True):
        v = w / (scale * ratio)
        inside = -high - 1 <= v <= high
        to_weight.append(g if inside else 0.0)
        to_scale += g * ratio * (min(max(math.floor(v), -high - 1), high) - (v if inside else 0))
    return to_weight, to_scale


@pytest.mark.parametrize("bits", BITSET)
def test_gradients_are_those_of_the_forward(bits):
    weight, upstream = torch.randn(2, 4, 25).double()
    weight.requires_grad_()
    quantize = quantizer(weight, 0.03, gradient_scale=False).double()
    (quantize(weight, WIDTHS[bits]) * upstream).sum().backward()
    values = (t.detach().flatten().tolist() for t in (weight, upstream))
    to_weight, to_scale = reference_gradients(*values, quantize.scale.item(), bits)
    assert weight.grad.flatten().tolist() == to_weight
    assert quantize.scale.grad.item() == pytest.approx(to_scale, rel=1e-9)
