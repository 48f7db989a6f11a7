import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from bitswitch.quant.clipped_grid import ClippedGrid, on_clipped_grid


def reference(x, clip, signed, bits):
    """Value, gradient to x and gradient to the clip of one input."""
    low, levels = -clip if signed else 0.0, 2**bits - 1
    inside = low <= x <= clip
    share = (min(max(x, low), clip) - low) / (clip - low)
    assume(abs(levels * share % 1 - 0.5) > 1e-4)
    y = low + (clip - low) * round(levels * share) / levels
    return y, float(inside), (y - x if inside else y) / clip


@given(
    x=st.floats(-4, 4, width=16),
    clip=st.floats(0.25, 4, width=16),
    signed=st.booleans(),
    bits=st.integers(2, 8),
)
def test_it_follows_the_scalar_reference(x, clip, signed, bits):
    expected = reference(x, clip, signed, bits)
    x, clip = torch.tensor([x], requires_grad=True), torch.tensor(clip, requires_grad=True)
    y = on_clipped_grid(x, clip, signed, 2.0**bits - 1, 2.0 ** (bits - 1))
    to_x, to_clip = torch.autograd.grad(y.sum(), [x, clip])
    assert (y.item(), to_x.item(), to_clip.item()) == pytest.approx(expected, abs=1e-5)


def values(signed, x):
    return on_clipped_grid(torch.tensor(x), None, signed, 3.0, 2.0).tolist()


def test_the_grid_reaches_both_ends():
    assert values(False, [-5.0, 0.1, 0.3, 0.7, 5.0]) == pytest.approx([0, 0, 1 / 3, 2 / 3, 1])
    assert values(True, [-5.0, -0.5, 0.1, 0.9, 5.0]) == pytest.approx([-1, -1 / 3, 1 / 3, 1, 1])


@pytest.mark.parametrize("signed", [False, True])
def test_the_range_is_closed(signed):
    x = torch.tensor([-1.001, -1.0, -0.001, 0.0, 1.0, 1.001], requires_grad=True)
    (to_x,) = torch.autograd.grad(on_clipped_grid(x, None, signed, 15.0, 8.0).sum(), x)
    assert to_x.tolist() == ([0, 1, 1, 1, 1, 0] if signed else [0, 0, 0, 1, 1, 0])


@pytest.mark.parametrize("signed", [False, True])
def test_a_fixed_clip_of_one_is_a_learned_one_at_one(signed):
    x = torch.randn(100)
    fixed, learned = (
        on_clipped_grid(x, clip, signed, 15.0, 8.0) for clip in (None, torch.tensor(1.0))
    )
    assert torch.equal(fixed, learned)


def test_the_gradient_of_the_clip_is_summed():
    x, clip = torch.tensor([0.4, 3.0, -1.0]), torch.tensor(1.0, requires_grad=True)
    y = on_clipped_grid(x, clip, False, 3.0, 2.0)
    (to_clip,) = torch.autograd.grad(y, clip, torch.tensor([1.0, 2.0, 4.0]))
    assert to_clip.shape == ()
    assert to_clip.item() == pytest.approx((1 / 3 - 0.4) + 2.0)


def test_nan_and_infinity():
    x = torch.tensor([float("nan"), float("inf"), -float("inf")], requires_grad=True)
    y = on_clipped_grid(x, torch.tensor(2.0), True, 15.0, 8.0)
    assert y[0].isnan()
    assert y[1:].tolist() == pytest.approx([2, -2])
    assert torch.autograd.grad(y[1:].sum(), x)[0][1:].tolist() == [0, 0]


def test_codes_stay_in_the_range_of_their_width():
    x = torch.linspace(-3, 3, 1001)
    assert ClippedGrid(False, 15.0, 8.0).codes(x, None).unique().tolist() == list(range(16))
    assert ClippedGrid(True, 15.0, 8.0).codes(x, None).unique().tolist() == list(range(-8, 8))


def test_inputs_are_not_changed():
    x = torch.randn(50)
    before = x.clone()
    on_clipped_grid(x, None, True, 15.0, 8.0)
    on_clipped_grid(x, None, False, 15.0, 8.0)
    assert torch.equal(x, before)
