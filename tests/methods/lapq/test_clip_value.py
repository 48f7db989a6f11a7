import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.methods.lapq.clip_value import FittedClips, LearnedClip
from bitswitch.quant.quantizer import Width

BITSET = (8, 4, 2)
DRAW = torch.Generator().manual_seed(0)
VALUES = torch.randn(400, generator=DRAW)
KINDS = [FittedClips, LearnedClip]


@given(
    x=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=20),
    bits=st.sampled_from(BITSET),
    kind=st.sampled_from(KINDS),
)
def test_training_value_is_the_deployed_value(x, bits, kind):
    x, width = torch.tensor(x), Width.of(bits, BITSET)
    quantize = kind(BITSET)
    quantize.initialize(x)
    codes = quantize.encode(x, width)
    assert torch.equal(codes.decode(), quantize(x, width))
    assert 0 <= codes.values.min() <= codes.values.max() <= 2**bits - 1


def clip_gradient(x, clip, bits, signed):
    """Return the gradient to the clip value of one number, in Python floats."""
    top = 2**bits - 1
    v = (x + clip) * top / (2 * clip) if signed else x * top / clip
    if v < 0:
        return -1.0 if signed else 0.0
    return 1.0 if v > top else (2 if signed else 1) / top * (round(v) - v)


@given(x=st.floats(-5, 5), k=st.integers(-2, 2), bits=st.sampled_from(BITSET), signed=st.booleans())
def test_clip_gradient_follows_the_equations(x, k, bits, signed):
    quantize = LearnedClip(BITSET).double()
    quantize.signed = signed
    quantize.scale.data.fill_(2.0**k)
    quantize(torch.tensor(x, dtype=torch.float64), Width.of(bits, BITSET)).backward()
    expected = clip_gradient(x, 2.0**k, bits, signed)
    assert quantize.scale.grad.item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_signed_grids_have_no_zero_and_reach_both_clips(kind):
    quantize = kind(BITSET, torch.tensor([-1.5, 0.3]))
    y = quantize(torch.linspace(-4, 4, 1001), Width.of(2, BITSET))
    torch.testing.assert_close(y.unique(), torch.tensor([-1.5, -0.5, 0.5, 1.5]))


@pytest.mark.parametrize("kind", KINDS)
def test_signedness_follows_activations_and_is_fixed_for_weights(kind):
    quantize = kind(BITSET)
    quantize.initialize(VALUES.abs())
    assert not quantize.signed
    quantize.initialize(VALUES)
    assert quantize.signed
    other = kind(BITSET)
    other.load_state_dict(quantize.state_dict())
    width = Width.of(4, BITSET)
    assert torch.equal(other(VALUES, width), quantize(VALUES, width))
    assert kind(BITSET, VALUES.abs()).signed


def test_a_learned_clip_serves_all_bit_widths_and_a_fitted_one_its_own():
    learned, fitted = LearnedClip(BITSET), FittedClips(BITSET)
    for quantize in (learned, fitted):
        quantize.set_clip(4, torch.tensor(3.0))
    clips = [[q.clip(Width.of(b, BITSET)).item() for b in BITSET] for q in (learned, fitted)]
    assert clips == [[3, 3, 3], [1, 3, 1]]
    assert list(learned.scales()) == ["scale"]
    assert not list(fitted.parameters())


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bits", BITSET)
def test_least_error_clip_is_least(bits, signed):
    values = VALUES if signed else VALUES.abs()
    quantize = FittedClips(BITSET)
    quantize.initialize(values)

    def error(clip, power):
        quantize.set_clip(bits, torch.as_tensor(clip))
        return (quantize(values, Width.of(bits, BITSET)) - values).abs().pow(power).mean()

    for power in (2.0, 3.0):
        found = quantize.least_error_clip(values, bits, power)
        candidates = values.abs().max() * torch.linspace(0.01, 1, 100)
        least = min(error(clip, power) for clip in candidates)
        assert error(found, power) == pytest.approx(least.item(), rel=1e-3)


def test_the_widest_candidate_is_tried_first():
    found = FittedClips(BITSET, VALUES).least_error_clip(VALUES, 2, 2.0, candidates=1)
    assert found == pytest.approx(VALUES.abs().max().item())


def test_larger_powers_clip_less():
    quantize = FittedClips(BITSET, VALUES)
    clips = [quantize.least_error_clip(VALUES, 2, power).item() for power in (1.0, 2.0, 5.0)]
    assert clips[0] < clips[1] < clips[2]


@pytest.mark.parametrize("x", [torch.zeros(5), torch.tensor([float("nan")])])
def test_degenerate_values_get_a_clip(x):
    quantize = FittedClips(BITSET)
    quantize.initialize(x)
    assert quantize.clips.tolist() == [1, 1, 1]
    assert quantize.least_error_clip(torch.zeros(5), 4, 2.0) > 0
