from fractions import Fraction
from math import floor

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.errors import EncodingError
from bitswitch.quant.grid import ROUNDINGS, clip, grid_codes, integers


def halved_to_even(v, ratio):
    """Round on the widest grid, then halve and round until nothing is left to drop."""
    code = round(v * ratio)
    while ratio > 1:
        code, ratio = round(Fraction(code, 2)), ratio / 2
    return code


SCALARS = {
    "cascade": halved_to_even,
    "double": lambda v, ratio: round(round(v * ratio) / ratio),
    "shift": lambda v, ratio: floor(round(v * ratio) / ratio),
    "single": lambda v, ratio: round(v),
    "floor": lambda v, ratio: floor(v),
}


def test_every_rounding_has_a_reference():
    assert ROUNDINGS.keys() == SCALARS.keys()


@given(
    x=st.floats(-4, 4, width=32),
    k=st.integers(2, 6),
    bits=st.integers(2, 8),
    delta=st.integers(0, 6),
    rounding=st.sampled_from(sorted(SCALARS)),
)
def test_codes_follow_the_scalar_reference(x, k, bits, delta, rounding):
    scale, ratio = 2.0**-k, 2.0**delta  # a power of two divides without rounding error
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    expected = min(max(SCALARS[rounding](x / scale, ratio), low), high)
    codes = grid_codes(torch.tensor([x]), torch.tensor(scale), low, high, rounding, ratio)
    assert codes.item() == expected


@given(x=st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1), scale=st.floats(1e-3, 1e3))
def test_codes_stay_in_range(x, scale):
    codes = grid_codes(torch.tensor(x), torch.tensor(scale), -8.0, 7.0)
    assert codes.min() >= -8
    assert codes.max() <= 7
    assert torch.equal(codes, codes.round())


def test_bounds_may_be_tensors():
    x = torch.tensor([-9.0, 0.4, 9.0])
    scale, low, high = torch.tensor(0.5), torch.tensor(-2.0), torch.tensor(1.0)
    assert torch.equal(grid_codes(x, scale, low, high), grid_codes(x, scale, -2.0, 1.0))
    assert torch.equal(grid_codes(x, scale, 0.0, high), grid_codes(x, scale, 0.0, 1.0))


def test_extremes():
    x = torch.tensor([float("inf"), -float("inf"), float("nan"), 0.0])
    codes = grid_codes(x, torch.tensor(1.0), -8.0, 7.0)
    assert codes[:2].tolist() == [7, -8]
    assert codes[2].isnan()
    assert codes[3] == 0


def test_a_scale_near_zero_sends_values_to_the_bounds():
    codes = grid_codes(torch.tensor([1.0, -1.0, 0.0]), torch.tensor(1e-45), -8.0, 7.0)
    assert codes.tolist() == [7, -8, 0]


def test_clip_reuses_its_buffer():
    x = torch.tensor([3.0])
    assert clip(x, 0.0, 1.0, out=x) is x


def test_nan_has_no_integer():
    with pytest.raises(EncodingError, match="NaN has no integer code"):
        integers(torch.tensor([1.0, float("nan")]))
