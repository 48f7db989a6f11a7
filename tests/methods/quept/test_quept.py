import random

import pytest
import torch
from torch import nn

from bitswitch.conversion import quantize
from bitswitch.methods.quept.adapted import AdaptedQuantizer, Groups
from bitswitch.methods.quept.merging import merged
from bitswitch.methods.quept.quept import Quept, _one_of_each
from bitswitch.nn.dataflow import NO_ENDS
from bitswitch.quant.quantizer import Width
from bitswitch.testing.subject import batches

BITSET = (8, 6, 4, 2)
DRAW = torch.Generator().manual_seed(0)
WEIGHT = torch.randn(5, 12, generator=DRAW)


@pytest.fixture
def quantizer():
    torch.manual_seed(0)
    found = AdaptedQuantizer(WEIGHT, BITSET, rank=2)
    nn.init.normal_(found.left, std=0.1)
    return found


def test_narrower_groups_use_more_of_the_adapter():
    assert Groups.of((8, 7, 6, 5, 4)).ranks(16) == {8: 16, 7: 16, 6: 32, 5: 32, 4: 48}
    assert Groups.of(BITSET).ranks(1) == {8: 1, 6: 1, 4: 2, 2: 3}
    assert Groups.of((8, 4)).ranks(4) == {8: 4, 4: 12}
    assert Groups.of((4,)).ranks(4) == {4: 4}


@pytest.mark.parametrize("bits", BITSET)
def test_weights_are_moved_and_lie_on_the_grid_of_clipped_extremes(quantizer, bits):
    rank = Groups.of(BITSET).ranks(2)[bits]
    moved = WEIGHT + quantizer.left[:, :rank] @ quantizer.right[:rank]
    share = torch.tensor(4.0).sigmoid()
    low, high = (share * end.values[:, None] for end in (moved.min(1), moved.max(1)))
    scale = (high - low) / (2**bits - 1)
    zero = (-low / scale).round()
    expected = ((moved / scale).round() + zero).clamp(0, 2**bits - 1) - zero
    found = quantizer(WEIGHT, Width.of(bits, BITSET))
    apart = (found - expected * scale).abs() > 1e-5  # a weight between two codes may take either
    assert apart.sum() <= 1


def test_gradients_are_those_of_a_straight_through_reference(quantizer):
    width = Width.of(4, BITSET)
    parameters = dict(quantizer.named_parameters())
    found = torch.autograd.grad(quantizer(WEIGHT, width).square().sum(), parameters.values())
    moved = WEIGHT + quantizer.left[:, :4] @ quantizer.right[:4]
    low = moved.amin(1, True) * quantizer.low_share[2].sigmoid()[:, None]
    high = moved.amax(1, True) * quantizer.high_share[2].sigmoid()[:, None]
    scale = (high - low) / 15
    zero = (-low / scale).detach().round()
    code = (moved / scale + zero).clamp(0, 15)
    code = code + (code.round() - code).detach()
    expected = torch.autograd.grad(((code - zero) * scale).square().sum(), parameters.values())
    for name, one, other in zip(parameters, found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3, msg=name)


def test_tokens_that_are_alike_stay_as_at_the_high_bit_width():
    high = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    low = torch.tensor([[[0.9, 0.1], [1.0, 0.0]]])
    found = merged(high, high, low, kept=0.5)
    assert torch.equal(found[0, 0], high[0, 0])
    torch.testing.assert_close(found[0, 1], 0.6 * high[0, 1] + 0.4 * low[0, 1])
    torch.testing.assert_close(merged(high[0], high[0], low[0], 1.0), 0.6 * high[0] + 0.4 * low[0])


def test_a_step_sees_one_bit_width_of_every_group():
    draw, groups = random.Random(0), Groups.of((8, 7, 6, 5, 4))
    seen = {_one_of_each(groups, draw) for _ in range(50)}
    assert seen == {(a, b, 4) for a in (8, 7) for b in (6, 5)}


def test_what_is_learned_brings_outputs_nearer():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 12), nn.ReLU(), nn.Linear(12, 12)).eval()
    method = Quept(Quept.Options(images=64, epochs=60, rank=2), (4, 2))
    images = torch.cat([batch.inputs for batch in batches()])
    model = quantize(net, method, ends=NO_ENDS, example=images[:1]).eval()
    model.calibrate([images])

    def errors():
        with model.at(32), torch.no_grad():
            full = model(images)
        found = {}
        for bits in (4, 2):
            with model.at(bits), torch.no_grad():
                found[bits] = float((model(images) - full).abs().mean())
        return found

    before = errors()
    method.finish(model, batches)
    after = errors()
    assert after[2] < 0.9 * before[2]
    assert after[4] < 1.05 * before[4]
