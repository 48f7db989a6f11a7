from itertools import pairwise
from math import prod

import pytest
import torch
from torch import nn

from bitswitch.conversion import quantized_layer
from bitswitch.types import FLOAT_BITS

from .small_network import BITSET, double_rounding, unshared

CONVOLUTIONS = {
    "plain": {},
    "groups": {"groups": 2},
    "depthwise": {"groups": 4},
    "stride": {"stride": 2},
    "dilation": {"dilation": 2},
    "no bias": {"bias": False},
    "reflect": {"padding": 2, "padding_mode": "reflect"},
    "circular": {"padding": (1, 2), "padding_mode": "circular"},
    "same": {"padding": "same"},
}


@pytest.mark.parametrize("options", CONVOLUTIONS.values(), ids=CONVOLUTIONS.keys())
def test_a_convolution_keeps_its_geometry(options):
    conv = nn.Conv2d(4, 8, 3, **options)
    x = torch.rand(2, 4, 9, 9)
    expected = conv(x)
    layer = quantized_layer(conv, double_rounding())
    layer.switch(FLOAT_BITS, FLOAT_BITS)
    assert torch.equal(layer(x), expected)
    layer.activation_quantizer.initialize(x)
    layer.switch(8, 8)
    torch.testing.assert_close(layer(x), expected, atol=0.1, rtol=0.1)
    assert not torch.equal(layer(x), expected)


@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 3, 6)])
def test_a_linear_layer_takes_any_leading_shape(shape):
    linear = nn.Linear(6, 4)
    x = torch.linspace(0, 1, prod(shape)).reshape(shape)
    layer = quantized_layer(linear, double_rounding())
    layer.activation_quantizer.initialize(x)
    torch.testing.assert_close(layer(x), linear(x), atol=0.05, rtol=0.05)
    layer(x).sum().backward()
    assert layer.weight.grad.isfinite().all()


@pytest.mark.parametrize("bits", BITSET)
def test_weights_and_inputs_are_on_their_grids(bits):
    layer = quantized_layer(nn.Linear(6, 4, bias=False), double_rounding())
    x = torch.rand(3, 6)
    layer.activation_quantizer.initialize(x)
    layer.switch(bits, bits)
    weight = layer.weight_quantizer.encode(layer.weight, layer.weight_switch.width)
    values = layer.activation_quantizer.encode(x, layer.activation_switch.width)
    integer = values.values.double() @ weight.values.double().T
    expected = integer * values.scale.double() * weight.scale.double()
    torch.testing.assert_close(layer(x).double(), expected, rtol=1e-5, atol=1e-6)


def test_operands_may_differ():
    layer = quantized_layer(nn.Linear(6, 4), double_rounding())
    x = torch.rand(3, 6)
    layer.activation_quantizer.initialize(x)
    outputs = []
    for bits in [(8, 8), (8, 2), (2, 8), (8, FLOAT_BITS), (FLOAT_BITS, 8)]:
        layer.switch(*bits)
        outputs.append(layer(x))
    assert all(not torch.equal(a, b) for a, b in pairwise(outputs))


def test_inactive_parameters_are_those_without_gradient():
    layer = quantized_layer(nn.Linear(6, 4), unshared())
    layer.switch(4, 2)
    layer(torch.rand(3, 6)).sum().backward()
    idle = {id(p) for p in layer.inactive_parameters()}
    assert {id(p) for p in layer.parameters() if p.grad is None} == idle
    layer.switch(FLOAT_BITS, FLOAT_BITS)
    assert len(layer.inactive_parameters()) == 6
