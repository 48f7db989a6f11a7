import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.deployment.packing import pack, packed_size, unpack


def by_hand(codes, bits):
    """Return the bytes of one long number that holds all codes, the first one lowest."""
    number = sum((code % 2**bits) << (bits * place) for place, code in enumerate(codes))
    return number.to_bytes(packed_size(len(codes), bits), "little")


@given(st.integers(2, 8), st.data())
def test_packing_is_one_long_number_and_comes_back(bits, data):
    codes = data.draw(st.lists(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), max_size=40))
    packed = pack(torch.tensor(codes, dtype=torch.int32), bits)
    assert bytes(packed.tolist()) == by_hand(codes, bits)
    back = unpack(packed, bits, len(codes))
    assert back.tolist() == codes
    assert back.dtype == torch.int8


def test_bytes_that_hold_other_codes_are_told():
    packed = pack(torch.tensor([1, 0, 1]), 2)
    with pytest.raises(ValueError, match="1 bytes hold no 5 codes"):
        unpack(packed, 2, 5)
    with pytest.raises(ValueError, match="behind the last code"):
        unpack(packed | 128, 2, 3)
