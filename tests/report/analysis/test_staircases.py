"""Tests of ``bitswitch.report.analysis.staircases`` against the quantizers that train."""

import numpy as np
import pytest
import torch

from bitswitch.quant.double_rounding import DoubleRoundingQuantizer
from bitswitch.quant.quantizer import Width
from bitswitch.report.analysis import staircases

X = np.arange(-1331, 1332) / 1024  # exact in single precision too
BITSET = (8, 6, 4, 2)


def trained(bitset, bits: int, rounding: str) -> np.ndarray:
    """Return what the training quantizer makes of ``X`` with the full range [-1, 1]."""
    quantizer = DoubleRoundingQuantizer(torch.ones(1), bitset, rounding=rounding)
    quantizer.scale.data.fill_(2.0 ** (1 - max(bitset)))
    with torch.no_grad():
        return quantizer(torch.from_numpy(X).float(), Width.of(bits, bitset)).double().numpy()


@pytest.mark.parametrize("bits", BITSET)
def test_double_rounding_is_the_quantizer(bits: int):
    assert np.array_equal(staircases.double_rounding(X, 8, bits), trained(BITSET, bits, "double"))


@pytest.mark.parametrize("bits", BITSET)
def test_bit_mixer_is_the_floor_variant(bits: int):
    assert np.array_equal(staircases.bit_mixer(X, 8, bits), trained(BITSET, bits, "floor"))


@pytest.mark.parametrize("bits", BITSET)
def test_lsq_is_single_rounding_on_its_own_grid(bits: int):
    assert np.array_equal(staircases.lsq(X, 8, bits), trained((bits,), bits, "single"))


@pytest.mark.parametrize("bits", [6, 4, 2])
def test_narrow_adabits_codes_are_wide_ones_shifted_right(bits: int):
    wide = (staircases.adabits(X, 8, 8) + 1) / 2 * 256
    narrow = (staircases.adabits(X, 8, bits) + 1) / 2 * 2**bits
    assert np.array_equal(narrow.astype(int), wide.astype(int) >> (8 - bits))
