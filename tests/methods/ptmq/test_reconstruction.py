import copy

import pytest
import torch
from torch.nn.functional import mse_loss

from bitswitch.conversion import quantize
from bitswitch.methods.ptmq.ptmq import Ptmq
from bitswitch.methods.ptmq.reconstruction import Reconstruction, reconstruct
from bitswitch.methods.ptmq.units import features, units
from bitswitch.types import FLOAT_BITS
from tests.nn.small_network import BITSET, float_net

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
