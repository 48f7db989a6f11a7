import pytest
import torch
import torchvision
from torch import nn

from bitswitch.conversion import quantize
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.methods.ptmq.units import features, switchable_layers, units
from bitswitch.models.cifar_resnet import CifarResNet, OriginalBlock, PreactivationBlock
from bitswitch.nn.layers import QuantizedConv2d, QuantizedLayer, QuantizedLinear
from bitswitch.types import FLOAT_BITS


class Pinned(DoubleRounding):
    """With first and last layer quantized."""

    first_last_bits = 8


def quantized(net, method=DoubleRounding):
    return quantize(net, method(method.Options(), (8, 4, 2)))


NETS = {
    "original": (lambda: CifarResNet(2, 10, preactivation=False), [OriginalBlock] * 6),
    "preactivation": (lambda: CifarResNet(1, 10, preactivation=True), [PreactivationBlock] * 3),
    "resnet18": (
        torchvision.models.resnet18,
        [torchvision.models.resnet.BasicBlock] * 8,
    ),
    "resnet50": (torchvision.models.resnet50, [torchvision.models.resnet.Bottleneck] * 16),
    "mobilenet_v2": (
        torchvision.models.mobilenet_v2,
        [torchvision.models.mobilenetv2.InvertedResidual] * 17
        + [torchvision.ops.misc.Conv2dNormActivation],
    ),
}


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("method", [DoubleRounding, Pinned])
def test_units_are_the_blocks_and_hold_every_layer_once(kind, method):
    build, expected = NETS[kind]
    model = quantized(build(), method)
    found = units(model.net)
    assert [type(unit) for unit in found] == expected
    held = [layer for unit in found for layer in switchable_layers(unit)]
    assert held == list(model.layers.values())


def test_without_blocks_every_layer_is_a_unit(model):
    assert [type(unit) for unit in units(model.net)] == [
        QuantizedConv2d,
        QuantizedConv2d,
        QuantizedLinear,
    ]
    assert units(model.net) == list(model.layers.values())


def test_features_are_what_goes_in_and_comes_out(model, images):
    unit = units(model.net)[1]
    assert isinstance(unit, QuantizedLayer)
    model.eval()
    with model.at(4), torch.no_grad():
        inputs, outputs = features(model, unit, images, batch_size=4)
        before = model.net[:6](images)
        torch.testing.assert_close(inputs, before)
        torch.testing.assert_close(outputs, model.net[6](before))
    with model.at(FLOAT_BITS):
        assert not torch.equal(features(model, unit, images, 4)[1], outputs)
    assert not unit._forward_hooks


def test_what_comes_after_the_unit_is_not_run(model, images):
    model.net.append(nn.Linear(1, 1))  # would not fit
    inputs, _ = features(model, units(model.net)[0], images, batch_size=6)
    assert len(inputs) == 6
