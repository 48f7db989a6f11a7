import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.quant.integer import shift_half_even, signed_range


@given(bits=st.integers(2, 8))
def test_signed_range_holds_every_code_once(bits):
    low, high = signed_range(bits)
    assert high - low + 1 == 2**bits
    assert low == -high - 1


@given(code=st.integers(-(2**20), 2**20), shift=st.integers(0, 8))
def test_shift_rounds_as_division_does(code, shift):
    narrow = shift_half_even(torch.tensor(code, dtype=torch.int32), shift)
    assert narrow.dtype == torch.int32
    assert narrow.item() == round(code / 2**shift)  # Python rounds ties to even


def test_a_bare_shift_would_floor():
    codes = torch.tensor([3, -1], dtype=torch.int32)
    assert (codes >> 2).tolist() == [0, -1]
    assert shift_half_even(codes, 2).tolist() == [1, 0]
