import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitswitch.methods.matquant.sliced import MinMaxQuantizer
from bitswitch.methods.matquant.sliced_grid import Slices, on_sliced_grid
from bitswitch.quant.double_rounding import DoubleRoundingQuantizer
from bitswitch.quant.granularity import PER_TENSOR, PerChannel, PerGroup
from bitswitch.quant.quantizer import Codes, Width

BITSET = (8, 6, 4, 3, 2)
NARROW = (6, 4, 3, 2)
CODES = torch.arange(-128, 128, dtype=torch.int32)
WEIGHT = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))


def slice_of(code, bits, clamp=True):
    """Return the slice of an unsigned code, as the publication has it, by Python's integers."""
    shift = 8 - bits
    narrow = (code >> shift) + ((code >> (shift - 1)) & 1) if shift else code
    return min(narrow, 2**bits - 1) if clamp else narrow


def quantizer_of(clamp=True, base="qat", granularity=PerChannel()):  # noqa: B008
    return MinMaxQuantizer(WEIGHT, BITSET, granularity, base, clamp)


@pytest.mark.parametrize("clamp", [True, False])
@pytest.mark.parametrize("bits", BITSET)
def test_every_code_is_the_unsigned_slice(bits, clamp):
    narrow = quantizer_of(clamp).narrow(Codes(CODES, torch.ones(())), Width.of(bits, BITSET))
    expected = [slice_of(code, bits, clamp) - 2 ** (bits - 1) for code in range(256)]
    assert narrow.values.tolist() == expected


@pytest.mark.parametrize("bits", NARROW)
def test_they_differ_from_double_rounding_at_ties_alone(bits):
    width, wide = Width.of(bits, BITSET), Codes(CODES, torch.ones(()))
    sliced = quantizer_of().narrow(wide, width).values
    doubled = DoubleRoundingQuantizer(WEIGHT, BITSET).narrow(wide, width).values
    ratio = 2 ** (8 - bits)
    ties = (CODES % ratio == ratio // 2) & ((CODES // ratio) % 2 == 0)
    clamped = (2 ** (bits - 1) - 1) * ratio + ratio // 2 <= CODES  # by both
    assert torch.equal(sliced != doubled, ties & ~clamped)


@settings(max_examples=60)
@given(
    st.floats(-3, 3, width=32),
    st.floats(0.0625, 0.5, width=32),
    st.floats(-0.5, 0.5, width=32),
    st.sampled_from(BITSET),
    st.booleans(),
)
def test_forward_and_gradients_are_those_of_a_scalar_reference(x, scale, zero_point, bits, clamp):
    tensors = [
        torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (x, scale, zero_point)
    ]
    width = Width.of(bits, BITSET)
    y = on_sliced_grid(*tensors, Slices.of(width, clamp))
    ratio = 2 ** (8 - bits)
    v = (x - zero_point) / scale
    wide = round(min(max(v, -128), 127))
    code, largest = math.floor(wide / ratio + 0.5), 2 ** (bits - 1) - 1
    inside = -128 <= round(v) <= 127 and not (clamp and code > largest)
    code = min(code, largest) if clamp else code
    assert y.item() == pytest.approx(code * ratio * scale + zero_point, abs=1e-9)
    grads = [grad.item() for grad in torch.autograd.grad(y, tensors)]
    expected = [float(inside), code * ratio - (v if inside else 0.0), 1.0 - inside]
    assert grads == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("granularity", [PER_TENSOR, PerChannel(), PerGroup(8)])
def test_grids_reach_from_the_least_to_the_largest_weight(granularity):
    quantizer, width = quantizer_of(granularity=granularity), Width.of(8, BITSET)
    rows = granularity.rows(WEIGHT)
    values = granularity.rows(quantizer(WEIGHT, width))
    step = (rows.amax(1) - rows.amin(1)) / 255
    for extreme in (torch.amin, torch.amax):
        torch.testing.assert_close(extreme(values, 1), extreme(rows, 1), rtol=1e-5, atol=1e-6)
    assert ((values - rows).abs().amax(1) <= step * 0.5001).all()


def test_without_learned_ends_weights_get_the_gradient_alone():
    quantizer, x = quantizer_of(), WEIGHT.clone().requires_grad_()
    assert not list(quantizer.parameters())
    (grad,) = torch.autograd.grad(quantizer(x, Width.of(8, BITSET)).sum(), x)
    assert torch.equal(grad, torch.ones_like(x))


def test_learned_ends_start_at_a_sigmoid_of_four():
    quantizer, width = quantizer_of(base="learned-clip"), Width.of(8, BITSET)
    share = 1 / (1 + math.exp(-4))
    scale, zero_point = quantizer.grid(WEIGHT, width)
    low, high = share * WEIGHT.amin(1, True), share * WEIGHT.amax(1, True)
    torch.testing.assert_close(scale, (high - low) / 255)
    torch.testing.assert_close(zero_point, low + 128 * (high - low) / 255)
    names = dict(quantizer.named_parameters())
    assert sorted(names) == ["high_share", "low_share"]
    assert all(p.dim() == 1 for p in names.values())  # no weight decay
    quantizer(WEIGHT, Width.of(2, BITSET)).square().sum().backward()
    assert all((p.grad != 0).all() for p in names.values())


def test_learned_ends_can_lower_the_error():
    quantizer, width, heavy = quantizer_of(base="learned-clip"), Width.of(2, BITSET), WEIGHT**3
    optimizer = torch.optim.Adam(quantizer.parameters(), lr=0.5)
    errors = []
    for _ in range(25):
        error = (quantizer(heavy, width) - heavy).square().sum()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert min(errors) < 0.9 * errors[0]


def test_codes_that_round_beyond_the_range_are_clamped_or_stay():
    x, width = torch.linspace(-1, 1, 15)[None], Width.of(2, BITSET)
    free, clamped = (MinMaxQuantizer(x, BITSET, PerChannel(), clamp=c) for c in (False, True))
    codes = free.encode(x, width).values
    assert codes.max() == 2
    assert torch.equal(clamped.encode(x, width).values, codes.clamp(max=1))
