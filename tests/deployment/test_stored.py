import pytest
import torch
from torch import nn

from bitswitch.deployment.description import LayerFacts
from bitswitch.deployment.layers import IntegerLinear
from bitswitch.deployment.stored import Bound, Scales, StoredLayer


def stored(rounding="half-even", keep=False, signed=False, zero_point=False, rows=1, pinned=None):
    codes = torch.tensor([[-128, 127], [3, 64]], dtype=torch.int8)
    layer = IntegerLinear(nn.Linear(2, 2), "l", codes, None)
    facts = LayerFacts(name="l", widths=(8, 4), pinned=pinned, rounding=rounding, signed=signed)
    row = torch.tensor([[0.5], [3.0]])
    scales = Scales(row[:rows], row * 10 if zero_point else None, torch.tensor([0.1, 0.2]), None)
    return StoredLayer(facts, layer, scales, keep)


def test_a_shared_scale_grows_by_powers_of_two():
    layer = stored()
    assert layer.at((8, 8)).weight().tolist() == [[-64, 63.5], [1.5, 32]]
    assert layer.at((4, 4)).weight().tolist() == [[-64, 56], [0, 32]]
    assert stored("floor").at((4, 8)).weight().tolist() == [[-64, 56], [0, 32]]


def test_scales_and_zero_points_of_their_own():
    layer = stored(rows=2, zero_point=True)
    assert layer.at((8, 8)).weight().tolist() == [[-59, 68.5], [6.5, 37]]
    assert layer.at((4, 4)).weight().tolist() == [[6, 51], [30, 42]]


@pytest.mark.parametrize(
    ("signed", "ranges"), [(False, [(0, 255), (0, 15)]), (True, [(-128, 127), (-8, 7)])]
)
def test_ranges_of_the_input(signed, ranges):
    grids = [stored(signed=signed).at((8, bits)).grid for bits in (8, 4)]
    assert [(grid.low, grid.high) for grid in grids] == ranges
    assert [grid.scale.item() for grid in grids] == pytest.approx([0.1, 0.2])


def test_bounds():
    assert stored().bound() == Bound(by_range=2 * 128 * 255, by_codes=255 * 255)
    assert stored(pinned=(4, 4)).bound() == Bound(by_range=2 * 8 * 15, by_codes=15 * 15)
    assert Bound(2**40, 2**31 - 1).fits_int32
    assert not Bound(2**40, 2**31).fits_int32


def test_only_narrow_codes_are_kept():
    layer = stored(keep=True)
    first = layer.at((4, 4)).codes
    layer.at((8, 8))
    assert layer.at((4, 8)).codes is first
    assert list(layer.kept) == [4]
