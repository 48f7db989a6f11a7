import itertools

import pytest
import torch

from bitswitch.deployment import narrowing
from bitswitch.deployment.narrowing import narrow
from bitswitch.methods.matquant.sliced import MinMaxQuantizer
from bitswitch.quant.double_rounding import DoubleRoundingQuantizer
from bitswitch.quant.floor import FloorQuantizer
from bitswitch.quant.granularity import PerChannel
from bitswitch.quant.integer import cascade_half_even, shift_half_even, signed_range
from bitswitch.quant.quantizer import Codes, Width

PAIRS = list(itertools.combinations(range(8, 1, -1), 2))


def all_codes(bits):
    low, high = signed_range(bits)
    return torch.arange(low, high + 1, dtype=torch.int8)


def halved(code, stored, bits):
    """Return the code of ``bits``, each narrower one the next wider one rounded half to even."""
    for width in range(stored - 1, bits - 1, -1):
        code = min(fraction_rounded(code, 1), 2 ** (width - 1) - 1)
    return code


def fraction_rounded(code, shift):
    """Return code / 2 ** shift rounded half to even, by Python's exact integers."""
    whole, rest = divmod(code, 2**shift)
    half = 2**shift / 2
    return whole + (rest > half or (rest == half and whole % 2 == 1))


@pytest.mark.parametrize(("stored", "bits"), PAIRS)
def test_every_code_of_every_pair_of_widths(stored, bits):
    codes, (low, high) = all_codes(stored), signed_range(bits)
    narrowed = narrow(codes, stored, bits, "half-even")
    by_shift = shift_half_even(codes.int(), stored - bits).clamp(low, high)
    by_hand = [min(fraction_rounded(code, stored - bits), high) for code in codes.tolist()]
    assert narrowed.tolist() == by_shift.tolist() == by_hand
    assert narrowed.dtype == torch.int8
    in_steps = [halved(code, stored, bits) for code in codes.tolist()]
    by_halves = cascade_half_even(codes.int(), stored - bits).clamp(low, high)
    assert narrow(codes, stored, bits, "cascade").tolist() == in_steps == by_halves.tolist()
    floored = [code // 2 ** (stored - bits) for code in codes.tolist()]
    assert narrow(codes, stored, bits, "floor").tolist() == floored
    half = 2 ** (stored - bits - 1)
    up = [(code + half) // 2 ** (stored - bits) for code in codes.tolist()]
    assert narrow(codes, stored, bits, "half-up-extra").tolist() == up
    assert narrow(codes, stored, bits, "half-up").tolist() == [min(code, high) for code in up]


@pytest.mark.parametrize(("stored", "bits"), PAIRS)
@pytest.mark.parametrize("scale", [0.37, 2.0**-7, 1e-20])
def test_every_code_as_training_rounds_it(stored, bits, scale):
    codes, bitset = all_codes(stored), (stored, bits)
    width, widest = Width.of(bits, bitset), Width.of(stored, bitset)
    ones, near = torch.ones(4, 4), (-0.4, 0.0, 0.4)
    for quantizer, rule, inside in (
        (DoubleRoundingQuantizer(ones, bitset), "half-even", near),
        (DoubleRoundingQuantizer(ones, bitset, rounding="cascade"), "cascade", near),
        (FloorQuantizer(ones, bitset), "floor", (0.1, 0.5, 0.9)),
    ):
        torch.nn.init.constant_(quantizer.scale, scale)
        for part in inside:  # of the cell around a code
            weights = ((codes.double() + part) * scale).float()[:, None]
            assert torch.equal(quantizer.encode(weights, widest).values[:, 0], codes.int())
            narrowed = narrow(codes, stored, bits, rule)
            values = Codes(narrowed.int(), quantizer.scale.detach() * width.ratio).decode()
            assert torch.equal(values, quantizer(weights, width).detach()[:, 0])


@pytest.mark.parametrize(("rule", "clamp"), [("half-up", True), ("half-up-extra", False)])
@pytest.mark.parametrize(("stored", "bits"), PAIRS)
def test_slices_as_training_rounds_them(stored, bits, rule, clamp):
    codes, bitset = all_codes(stored), (stored, bits)
    width, widest = Width.of(bits, bitset), Width.of(stored, bitset)
    weights = (codes.float() * 0.37 + 1.1)[None]
    quantizer = MinMaxQuantizer(weights, bitset, PerChannel(), clamp=clamp)
    wide = quantizer.encode(weights, widest)
    narrowed = narrow(wide.values.to(torch.int8), stored, bits, rule)
    worth = Codes(narrowed.int(), wide.scale * width.ratio, wide.zero_point).decode()
    assert torch.equal(worth, quantizer(weights, width))


def test_blocks_and_memory_formats(monkeypatch):
    codes = torch.randint(-128, 128, (5, 3, 3, 3), dtype=torch.int8)
    last = codes.contiguous(memory_format=torch.channels_last)
    whole = {rule: narrow(codes, 8, 4, rule) for rule in ("half-even", "cascade")}
    monkeypatch.setattr(narrowing, "BLOCK", 7)
    for rule, expected in whole.items():
        assert torch.equal(narrow(codes, 8, 4, rule), expected)
        assert torch.equal(narrow(last, 8, 4, rule), expected)


def test_the_stored_width_is_not_copied():
    codes = all_codes(8)
    assert narrow(codes, 8, 8, "half-even") is codes
