"""Layers whose weights are quantized, but whose inputs are not."""

import pytest
import torch
from torch import nn

from bitswitch import quantize
from bitswitch.contracts.data import Batch
from bitswitch.costs import CostModel
from bitswitch.errors import BitWidthError
from bitswitch.nn.shapes import layer_shapes
from bitswitch.runtime.randomness import seeded
from bitswitch.sensitivities.input_error import squared_input_errors

BITSET = (8, 4, 2)


def made(*names, method="lsq", calibrated=True):
    with seeded("net"):
        net = nn.Sequential(*(nn.Linear(4, 4) for _ in range(4)))
        x = torch.randn(32, 4)
    model = quantize(net, method, bitset=BITSET, float_inputs=names, example=(4,)).eval()
    if calibrated:
        model.calibrate([x])
    return model, x


def test_its_weight_is_quantized_and_its_input_is_not():
    model, x = made("1")
    layer = model.layers["1"]
    for bits in BITSET:
        with model.at(bits), torch.no_grad():
            output = layer(x)
            weight = layer.weight_quantizer(layer.weight, layer.weight_switch.width)
        assert torch.equal(output, nn.functional.linear(x, weight, layer.bias))
        assert not torch.equal(weight, layer.weight)
    with model.at(dict.fromkeys(model.layers, (4, 2))), torch.no_grad():
        narrow = layer(x)
    with model.at(dict.fromkeys(model.layers, (4, 8))), torch.no_grad():
        assert torch.equal(layer(x), narrow)


def test_it_has_no_scales_of_inputs():
    model, _ = made("1")
    names = model.scale_parameters()
    assert not [name for name in names if name.startswith("net.1.activation")]
    assert [name for name in names if name.startswith("net.2.activation")]
    assert ("1", "weight") in model.active_scales()
    assert ("1", "activation") not in model.active_scales()
    assert not {name for name in model.state_dict() if name.startswith("net.1.activation_q")}


def test_a_star_quantizes_weights_alone_and_needs_no_calibration(recwarn):
    model, x = made("*", calibrated=False)
    model(x)
    assert not recwarn.list
    assert {name.split(".")[2] for name in model.scale_parameters()} == {"weight_quantizer"}
    model, _ = made("*", method="hasb")
    assert model.layers["1"].float_input


def test_costs_count_32_bits_for_it():
    model, _ = made("1")
    shapes = {shape.name: shape for shape in layer_shapes(model, (4,))}
    assert [name for name, shape in shapes.items() if shape.float_input] == ["1"]
    costs = CostModel(list(shapes.values()))
    found = costs.costs({"1": (4, 2), "2": (4, 2)})
    assert found.bitops == 16 * 4 * 32 + 16 * 4 * 2
    assert found.activation_bits == (32 + 2) / 2


def test_its_input_has_no_error():
    model, x = made("1")
    errors = squared_input_errors(model, (4, 2), lambda: [Batch(x, x, x)])
    assert errors.squared["1", 2] == 0 < errors.squared["2", 2]


def test_a_name_that_no_layer_has_is_an_error():
    with pytest.raises(BitWidthError, match="'float_inputs' names 'down_proj'"):
        made("down_proj")


def test_a_last_layer_of_fixed_width_may_keep_its_input():
    with seeded("net"):
        net = nn.Sequential(*(nn.Linear(4, 4) for _ in range(4)))
    options = {"first_last_bits": 8}
    model = quantize(net, "lsq", bitset=BITSET, float_inputs=["3"], example=(4,), **options)
    assert {name: layer.pinned for name, layer in model.quantized_layers.items()} == {
        "0": (8, 32),
        "1": None,
        "2": None,
        "3": (8, 32),
    }
