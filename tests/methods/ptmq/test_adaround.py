import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.methods.ptmq.adaround import (
    AdaRoundQuantizer,
    rectified_logit,
    rectified_sigmoid,
    rounding_penalty,
)
from bitswitch.quant import per_bit
from bitswitch.quant.quantizer import Width

BITSET = (8, 4, 2)
WEIGHT = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0))
WIDTHS = [Width.of(bits, BITSET) for bits in BITSET]


@pytest.fixture
def quantizer():
    return AdaRoundQuantizer(WEIGHT, BITSET)


def step_of(quantizer, width):
    return quantizer.scale.of(int(width.bits)).detach()


def share(logit):
    return min(max(1.2 / (1 + math.exp(-logit)) - 0.1, 0.0), 1.0)


def slope(logit):
    """Derivative of ``share``."""
    sigmoid = 1 / (1 + math.exp(-logit))
    return 1.2 * sigmoid * (1 - sigmoid) if 0 <= 1.2 * sigmoid - 0.1 <= 1 else 0.0


@given(st.floats(-8, 8), st.floats(2, 20))
def test_shares_and_penalty_are_those_of_the_publication(logit, exponent):
    logits = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
    shares = rectified_sigmoid(logits)
    assert shares.item() == pytest.approx(share(logit), abs=1e-12)
    (gradient,) = torch.autograd.grad(shares.sum(), logits)
    assert gradient.item() == pytest.approx(slope(logit), abs=1e-12)
    expected = 1 - abs(2 * share(logit) - 1) ** exponent
    assert rounding_penalty(logits, exponent).item() == pytest.approx(expected, abs=1e-9)


def test_the_penalty_pulls_undecided_shares_to_the_nearer_end():
    logits = torch.tensor([-0.5, 0.5], requires_grad=True)
    rounding_penalty(logits, 4.0).backward()
    assert logits.grad[0] > 0 > logits.grad[1]


@given(st.floats(0, 1))
def test_logits_give_back_the_share(value):
    shares = torch.tensor([value], dtype=torch.float64)
    assert rectified_sigmoid(rectified_logit(shares)).item() == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("width", WIDTHS)
def test_it_rounds_to_nearest_before_anything_is_learned(quantizer, width):
    step = step_of(quantizer, width)
    codes = (WEIGHT / step).round().clamp(width.signed_low, width.signed_high)
    assert torch.equal(quantizer(WEIGHT, width), codes * step)


@pytest.mark.parametrize("width", WIDTHS)
def test_soft_weights_start_at_the_float_weights(quantizer, width):
    quantizer.soften(WEIGHT, width)
    step = step_of(quantizer, width)
    inside = WEIGHT.clamp(width.signed_low * step, width.signed_high * step)
    torch.testing.assert_close(quantizer(WEIGHT, width), inside, rtol=0, atol=1e-5)


@pytest.mark.parametrize("width", WIDTHS)
def test_soft_weights_are_those_of_a_scalar_reference(quantizer, width):
    logits = quantizer.soften(WEIGHT, width)
    with torch.no_grad():
        logits += torch.randn(WEIGHT.shape, generator=torch.Generator().manual_seed(1)) * 3
    soft = quantizer(WEIGHT, width)
    upstream = torch.randn(WEIGHT.shape, generator=torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad(soft, logits, upstream)
    steps = step_of(quantizer, width).expand_as(WEIGHT)
    for w, s, v, y, g, up in zip(
        *(t.flatten().tolist() for t in (WEIGHT, steps, logits, soft, gradient, upstream)),
        strict=True,
    ):
        code = math.floor(w / s) + share(v)
        inside = width.signed_low <= code <= width.signed_high
        assert y == pytest.approx(min(max(code, width.signed_low), width.signed_high) * s, abs=1e-5)
        assert g == pytest.approx(up * s * slope(v) if inside else 0.0, abs=1e-5)


@pytest.mark.parametrize("width", WIDTHS)
def test_learned_directions_are_deployed_exactly(quantizer, width):
    logits = quantizer.soften(WEIGHT, width)
    with torch.no_grad():
        logits.copy_(torch.randn(WEIGHT.shape, generator=torch.Generator().manual_seed(3)))
    quantizer.harden(width)
    step = step_of(quantizer, width)
    codes = ((WEIGHT / step).floor() + (logits >= 0)).clamp(width.signed_low, width.signed_high)
    encoded = quantizer.encode(WEIGHT, width)
    assert torch.equal(encoded.values, codes.int())
    assert torch.equal(encoded.decode(), quantizer(WEIGHT, width))
    assert not torch.equal(codes, (WEIGHT / step).round())


def test_directions_belong_to_one_bit_width(quantizer):
    before = [quantizer(WEIGHT, width) for width in WIDTHS]
    quantizer.soften(WEIGHT, WIDTHS[1]).data.fill_(5.0)
    quantizer.harden(WIDTHS[1])
    after = [quantizer(WEIGHT, width) for width in WIDTHS]
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [True, False, True]


@pytest.mark.parametrize("learned", [False, True])
def test_gradients_are_straight_through(quantizer, learned):
    width = WIDTHS[2]
    per_bit.switch(quantizer, 2)
    if learned:
        quantizer.soften(WEIGHT, width)
        quantizer.harden(width)
    weight = WEIGHT.clone().requires_grad_()
    quantizer(weight, width).sum().backward()
    ratios = WEIGHT / step_of(quantizer, width)
    well_inside = (ratios > width.signed_low) & (ratios.ceil() <= width.signed_high)
    well_outside = (ratios < width.signed_low - 1) | (ratios.floor() > width.signed_high)
    assert well_inside.any()
    assert (weight.grad[well_inside] == 1).all()
    assert (weight.grad[well_outside] == 0).all()


def test_state_keeps_directions(quantizer):
    quantizer.soften(WEIGHT, WIDTHS[0]).data.fill_(5.0)
    quantizer.harden(WIDTHS[0])
    other = AdaRoundQuantizer(torch.ones_like(WEIGHT), BITSET)
    other.load_state_dict(quantizer.state_dict())
    for width in WIDTHS:
        assert torch.equal(other(WEIGHT, width), quantizer(WEIGHT, width))


def test_linear_weights_have_a_step_per_output():
    weight = torch.randn(5, 7)
    quantizer = AdaRoundQuantizer(weight, BITSET)
    assert quantizer.scale.of(8).shape == (5, 1)
    assert quantizer(weight, WIDTHS[0]).shape == (5, 7)
