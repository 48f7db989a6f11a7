import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from bitswitch import testing
from bitswitch.conversion import quantize
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.shapes import layer_shapes
from bitswitch.plugins import registry
from bitswitch.quant.granularity import PerGroup
from bitswitch.quant.max_abs import MaxAbsQuantizer
from bitswitch.types import FLOAT_BITS

from .small_network import BITSET, double_rounding, float_net, unshared

IMAGE = (3, 12, 12)


def by_name(model, image=IMAGE):
    return {shape.name: shape for shape in layer_shapes(model, image)}


def wrapped(net):
    return QuantizedModel(net, (FLOAT_BITS,), 0)


def test_every_layer_is_described(model):
    shapes = layer_shapes(model, IMAGE)
    assert [shape.name for shape in shapes] == ["0", "3", "6", "9", "11"]
    assert [shape.kind for shape in shapes] == ["conv"] * 3 + ["linear"] * 2
    assert [shape.weights for shape in shapes] == [8 * 3 * 9, 8 * 8 * 9, 16 * 4 * 9, 16 * 12, 60]
    assert [shape.in_channels for shape in shapes] == [3, 8, 8, 16, 12]
    assert [shape.out_channels for shape in shapes] == [8, 8, 16, 12, 5]
    assert [shape.kernel for shape in shapes] == [3, 3, 3, 1, 1]
    assert [shape.stride for shape in shapes] == [1, 1, 2, 1, 1]
    assert [shape.groups for shape in shapes] == [1, 1, 2, 1, 1]
    assert [shape.inputs for shape in shapes] == [3 * 144, 8 * 144, 8 * 144, 16, 12]


def test_multiply_accumulates_are_counted_one_by_one(model):
    shape = by_name(model)["6"]
    count = 0
    for _ in range(16):  # output channels, each of half the input channels
        for row in range(0, 12 - 3 + 1, 2):
            for column in range(0, 12 - 3 + 1, 2):
                count += sum(1 for _ in range(row, row + 3) for _ in range(column, column + 3)) * 4
    assert shape.macs == count


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2"])
def test_multiply_accumulates_are_those_that_torch_counts(name):
    with torch.device("meta"):
        net = models.get_model(name)
    shapes = layer_shapes(wrapped(net), (3, 224, 224))
    with FlopCounterMode(display=False) as counter:
        net.eval()(torch.zeros(1, 3, 224, 224, device="meta"))
    assert 2 * sum(shape.macs for shape in shapes) == counter.get_total_flops()
    weights = [m.weight.numel() for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [shape.weights for shape in shapes] == weights
    depthwise = sum(shape.is_depthwise for shape in shapes)
    assert depthwise == (17 if name == "mobilenet_v2" else 0)


def test_first_and_last_layers_have_their_own_bit_width(model):
    assert [shape.fixed_bits for shape in layer_shapes(model, IMAGE)] == [32, None, None, None, 32]
    pinned = testing.Subject.of("limpq", {"first_last_bits": 8}, BITSET).train_state().model
    bits = {shape.name: shape.fixed_bits for shape in layer_shapes(pinned, (3, 8, 8))}
    assert bits == {"0": 8, "3": None, "6": None, "11": None, "12": 8}


class RoundToNearest(DoubleRounding):
    """Weights whose scales are computed, not learned; files hold them all the same."""

    def weight_quantizer(self, weight):
        return MaxAbsQuantizer(PerGroup(4))


@pytest.mark.parametrize(
    ("method", "scales"),
    [
        (double_rounding(), [0, 1, 1, 1, 0]),
        (double_rounding(weight_granularity="per-channel"), [0, 8, 16, 12, 0]),
        (double_rounding(weight_granularity="per-group-4"), [0, 8 * 2, 16, 12 * 4, 0]),
        (unshared(), [0, 3, 3, 3, 0]),
        (unshared(weight_granularity="per-group-4"), [0, 3 * 8 * 2, 3 * 16, 3 * 12 * 4, 0]),
        (RoundToNearest(DoubleRounding.Options(), BITSET), [0, 3 * 8 * 2, 3 * 16, 3 * 12 * 4, 0]),
    ],
)
def test_scales_are_all_that_are_stored(method, scales):
    model = quantize(float_net(), method)
    assert [shape.scales for shape in layer_shapes(model, IMAGE)] == scales


TABLES = sum(2**bits for bits in BITSET)
"""Entries of the tables of one row."""


@pytest.mark.parametrize(
    ("name", "options", "scales"),
    [
        ("adabits", {"rescale": "constant", "linear_rescale": "none"}, [3, 1]),
        ("any-precision", {}, [1, 1]),
        ("l1-regularization", {}, [3, 3]),
        ("rtn", {}, [3 * 3, 3 * 4]),
        ("rtn", {"grid": "asymmetric"}, [2 * 3 * 3, 2 * 3 * 4]),
        ("gptq", {"weight_granularity": "per-group-1"}, [2 * 3 * 9, 2 * 3 * 4 * 27]),
        ("matgptq", {}, [3, 4]),
        ("matgptq", {"grid": "asymmetric", "weight_granularity": "per-tensor"}, [2, 2]),
        ("matquant", {"base": "learned-clip"}, [2 * 3, 2 * 4]),
        ("any-precision-llm", {"weight_granularity": "per-tensor"}, [TABLES, TABLES]),
    ],
)
def test_scales_that_are_not_learned_are_stored_too(name, options, scales):
    net = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(2)), nn.Flatten(), nn.Linear(27, 4))
    net.append(nn.Linear(4, 2))
    method = registry.create("methods", name, options, BITSET)
    shapes = layer_shapes(quantize(net, method, example=(3, 3, 3)), (3, 3, 3))
    assert [shape.scales for shape in shapes[1:-1]] == scales


def test_tokens_count_each(model):
    net = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.Flatten(2), nn.Linear(9, 5))
    shape = by_name(wrapped(net))["2"]  # four rows of 9 values
    assert (shape.inputs, shape.macs) == (4 * 9, 4 * 9 * 5)


class Twice(nn.Module):
    """Uses one layer twice and another never."""

    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.used(self.used(x))


def test_a_layer_counts_as_often_as_it_is_used():
    shapes = by_name(wrapped(Twice()))
    assert list(shapes) == ["used"]
    assert (shapes["used"].macs, shapes["used"].inputs) == (2 * 144 * 9, 2 * 144 * 3)
    assert shapes["used"].weights == 9


def test_the_network_stays_as_it_is(model):
    model.train()
    model.net[4].eval()
    model.switch(4)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    layer_shapes(model, IMAGE)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert {layer.weight_switch.bits for layer in model.layers.values()} == {4}
    assert not any(module._forward_hooks for module in model.modules())
