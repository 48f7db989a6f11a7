import copy

import pytest
import torch
from torch.nn.functional import mse_loss

from bitswitch.methods.ptmq import Ptmq
from bitswitch.nn.model import quantize
from bitswitch.nn.reconstruction import (
    Group,
    Reconstruction,
    dropped,
    group_distillation,
    mixed,
    reconstruct,
)
from bitswitch.nn.units import features, units
from bitswitch.types import FLOAT_BITS

from .small_network import BITSET, float_net

RECIPE = Reconstruction(batch_size=16, iterations=60)


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images():
    return torch.randn(32, 3, 12, 12, generator=draw(1))


@pytest.fixture
def model(images):
    quantized = quantize(float_net().eval(), Ptmq(Ptmq.Options(), BITSET))
    quantized.calibrate([images])
    return quantized.eval()


def error(model, unit, images, bits):
    """Mean squared error of the output of a unit of the deployed network."""
    with model.at(FLOAT_BITS):
        _, full = features(model, unit, images, 16)
    with model.at(bits):
        _, rough = features(model, unit, images, 16)
    return mse_loss(rough, full).item()


@pytest.mark.parametrize("bits", BITSET)
def test_every_unit_comes_closer_than_rounding_to_nearest(model, images, bits):
    nearest = [error(model, unit, images, bits) for unit in units(model.net)]
    reconstruct(model, images, bits, RECIPE, draw())
    learned = [error(model, unit, images, bits) for unit in units(model.net)]
    assert all(after < before for after, before in zip(learned, nearest, strict=True))


def test_rounding_alone_comes_closer_than_nearest(model, images):
    """With activation scales as good as fixed, and more images than it learns from."""
    last = units(model.net)[-1]
    unseen = torch.randn(32, 3, 12, 12, generator=draw(2))
    nearest = error(model, last, unseen, 4)
    recipe = RECIPE.model_copy(update={"scale_learning_rate": 1e-12})
    reconstruct(model, images, 4, recipe, draw())
    assert error(model, last, unseen, 4) < nearest


def test_rounding_ends_at_a_neighbour(model, images):
    reconstruct(model, images, 4, RECIPE, draw())
    with model.at(4):
        for layer in model.layers.values():
            width = layer.weight_switch.width
            step = layer.weight_quantizer.scale.of(4)
            codes = layer.weight_quantizer.encode(layer.weight, width).values
            ratios = layer.weight / step
            inside = (ratios > width.signed_low) & (ratios < width.signed_high)
            away = (codes - ratios).abs()[inside]
            assert away.max() < 1.0001
            assert (away > 0.51).any()  # not all of them the nearest one


def test_only_rounding_and_activation_scales_change(model, images):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    reconstruct(model, images, 4, RECIPE, draw())
    changed = {
        name.split(".", 2)[2]
        for name, value in model.state_dict().items()
        if isinstance(value, torch.Tensor) and not torch.equal(value, before[name])
    }
    assert changed == {
        "weight_quantizer.rounding",
        "activation_quantizer.scale.4",
        "activation_quantizer.scale.8",
    }
    assert all(p.grad is None for p in model.other_parameters().values())


def test_the_policy_is_left_as_it_was(model, images):
    model.switch({"3": (8, 2), "6": 4, "9": FLOAT_BITS})
    expected = model(images)
    reconstruct(model, images, 2, RECIPE.model_copy(update={"iterations": 1}), draw())
    bits = [(m.weight_switch.bits, m.activation_switch.bits) for m in model.layers.values()]
    assert bits == [(8, 2), (4, 4), (FLOAT_BITS, FLOAT_BITS)]
    assert not torch.equal(model(images), expected)  # activation scales of 2 bits were learned


def test_it_is_deterministic_and_depends_on_the_draw(model, images):
    first, second, third = model, copy.deepcopy(model), copy.deepcopy(model)
    for twin, seed in ((first, 0), (second, 0), (third, 1)):
        reconstruct(twin, images, 2, RECIPE.model_copy(update={"iterations": 6}), draw(seed))
    with first.at(2), second.at(2), third.at(2):
        assert torch.equal(first(images), second(images))
        assert not torch.equal(first(images), third(images))


def test_scales_stay_positive(model, images):
    recipe = RECIPE.model_copy(update={"scale_learning_rate": 10.0, "iterations": 5})
    reconstruct(model, images, 8, recipe, draw())
    assert all(scale > 0 for scale in model.active_scales().values() if scale.numel() == 1)


@pytest.mark.parametrize(
    ("bits", "bitset", "expected"),
    [
        (2, (8, 6, 4, 2), (2, 4, 8)),
        (4, (8, 6, 4, 2), (4, 6, 8)),
        (6, (8, 6, 4, 2), (6, 6, 8)),
        (8, (8, 6, 4, 2), (8, 8, 8)),
        (3, (4, 3, 2), (3, 3, 4)),
        (2, (4, 3, 2), (2, 3, 4)),
        (5, (5,), (5, 5, 5)),
    ],
)
def test_groups_reach_from_the_weights_to_the_widest(bits, bitset, expected):
    assert Group.of(bits, bitset) == expected


def test_the_loss_is_the_sum_of_three_errors():
    full, low, medium, high = (torch.randn(3, 2, generator=draw(seed)) for seed in range(4))
    expected = 0.0
    for f, small, middle, large in zip(
        *(t.flatten().tolist() for t in (full, low, medium, high)), strict=True
    ):
        mean = (small + middle + large) / 3
        expected += (f - mean) ** 2 + (large - middle) ** 2 + (large - small) ** 2
    loss = group_distillation(full, low, medium, high)
    assert loss.item() == pytest.approx(expected / 6, rel=1e-5)
    torch.testing.assert_close(mixed(low, medium, high), (low + medium + high) / 3)


def test_dropped_features_are_of_one_or_the_other():
    rough, full = torch.zeros(40, 40), torch.ones(40, 40)
    share = dropped(rough, full, 0.3, draw()).mean().item()
    assert share == pytest.approx(0.3, abs=0.05)
    assert torch.equal(dropped(rough, full, 1.0, draw()), full)
    assert torch.equal(dropped(rough, full, 0.0, draw()), rough)
