import re
from itertools import product

import pytest
import torch
from torch import nn

from bitswitch.conversion import quantize
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.nn.norms.pairs import BatchNormGrid, pair
from bitswitch.nn.recalibration import recalibrate
from bitswitch.types import FLOAT_BITS
from tests.nn.small_network import BITSET, float_net

PAIRS = list(product(BITSET, BITSET))


class Gridded(DoubleRounding):
    def normalization(self, norm):
        return BatchNormGrid(norm, self.bitset)


@pytest.fixture
def norm():
    return BatchNormGrid(nn.BatchNorm2d(4), BITSET)


@pytest.fixture
def model(images):
    model = quantize(float_net(), Gridded(Gridded.Options(), BITSET))
    model.calibrate([images])
    return model


def test_every_pair_starts_as_the_float_norm(norm):
    x = torch.randn(8, 4, 3, 3) + 5
    for layer in PAIRS:
        norm.follow(layer, layer)
        assert torch.equal(norm(x), nn.BatchNorm2d(4)(x))


@pytest.mark.parametrize("layer", PAIRS)
def test_only_the_pair_in_use_is_touched(norm, layer):
    norm.follow(layer, (8, 8))
    norm(torch.randn(8, 4, 3, 3) + 5).square().sum().backward()
    row = norm.copies.index(pair(*layer))
    assert norm.num_batches_tracked.tolist() == [int(i == row) for i in range(len(PAIRS))]
    used = {name for name, p in norm.named_parameters() if p.grad is not None}
    assert used == {f"weight.{pair(*layer)}", f"bias.{pair(*layer)}"}
    idle = {id(p) for p in norm.inactive_parameters()}
    assert idle == {id(p) for p in norm.parameters() if p.grad is None}


def test_every_pair_has_a_number_of_its_own():
    assert len({pair(*layer) for layer in PAIRS}) == len(PAIRS)


def test_float_operands_are_the_widest(norm):
    norm.follow((FLOAT_BITS, 2), (4, 4))
    assert norm.copy == pair(8, 2)
    norm.follow((FLOAT_BITS, FLOAT_BITS), (4, 4))
    assert norm.copy == 8


def test_alone_it_is_always_the_same(norm):
    norm.alone = True
    for layer in PAIRS:
        norm.follow(layer, layer)
        assert norm.copy == 8


def test_it_follows_the_layer_before(model):
    model.switch({"3": (4, 2), "6": (2, 2), "9": (8, 8)})
    assert model.net[4].copy == pair(4, 2)
    model.switch(4)
    assert model.net[4].copy == 4


def test_recalibration_measures_the_pairs_of_one_bit_width(model, images):
    model.train()
    with model.at({"3": (4, 2), "6": (2, 2), "9": (8, 8)}):
        model(images)
    norm = model.net[4]
    mixed = norm.copies.index(pair(4, 2))
    before = norm.running_mean[mixed].clone()
    recalibrate(model, lambda: [images, images])
    counts = dict(zip(norm.copies, norm.num_batches_tracked.tolist(), strict=True))
    assert [counts[bits] for bits in BITSET] == [2, 2, 2]
    assert torch.equal(norm.running_mean[mixed], before)


def test_moving_and_loading_keep_the_pair_in_use(norm):
    norm.follow((4, 2), (4, 2))
    norm.double()
    norm.load_state_dict(BatchNormGrid(nn.BatchNorm2d(4), BITSET).state_dict())
    norm(torch.randn(8, 4, 3, 3).double())
    assert norm.num_batches_tracked[norm.copies.index("w4a2")] == 1


def test_state_dicts_that_number_pairs_are_read(norm):
    for name, value in norm.named_parameters():
        value.data.fill_(sum(map(ord, name)))
    new = norm.state_dict()
    old = {re.sub(r"w(\d)a(\d)", r"\1\2", name): value for name, value in new.items()}
    assert {name for name in old if name not in new} > {"weight.82", "bias.24"}
    fresh = BatchNormGrid(nn.BatchNorm2d(4), BITSET)
    fresh.load_state_dict(old)
    assert all(torch.equal(value, new[name]) for name, value in fresh.state_dict().items())
