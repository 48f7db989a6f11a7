import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from bitswitch.conversion import quantize
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.plugins import registry
from bitswitch.quant.per_bit import PerBit
from bitswitch.quant.quantizer import Quantizer
from bitswitch.quant.scale import Scale
from bitswitch.testing.subject import Subject
from bitswitch.training.updates.optimizers import Optimizers

BITSET = (8, 4, 2)
METHODS = [name for name in registry.names("methods") if name != "float32"]


class Scaled(Quantizer):
    """Named otherwise than scales commonly are."""

    def __init__(self):
        super().__init__()
        self.step = Scale(torch.tensor([0.5, 0.25]))
        self.reach = PerBit(BITSET, Scale(torch.ones(())))
        self.scale_free = nn.Parameter(torch.zeros(3))
        self.shift = PerBit(BITSET, torch.zeros(()))


def saved(quantizer):
    buffer = io.BytesIO()
    torch.save(quantizer, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


def assigned(quantizer):
    other = Scaled()
    other.load_state_dict(quantizer.state_dict(), assign=True)
    return other


ROADS = {
    "as it is": lambda q: q,
    "deepcopy": copy.deepcopy,
    "pickle": lambda q: pickle.loads(pickle.dumps(q)),
    "torch.save": saved,
    "assign": assigned,
    "double": lambda q: q.double(),
    "meta": lambda q: q.to("meta"),
    "from meta": lambda q: q.to("meta").to_empty(device="cpu"),
}


@pytest.mark.parametrize("road", ROADS)
def test_scales_stay_scales_wherever_they_go(road):
    quantizer = Scaled()
    quantizer.step.requires_grad_(False)
    moved = ROADS[road](quantizer)
    assert list(moved.scales()) == ["step", "reach.8", "reach.4", "reach.2"]
    assert moved.reach.active is moved.reach.of(8)
    if "meta" not in road:
        assert moved.step.tolist() == [0.5, 0.25]
    assert moved.step.requires_grad == (road == "assign")


def test_a_scale_is_made_of_a_scale():
    value = Scale(torch.ones(2))
    assert isinstance(Scale(value), Scale)
    assert type(value * 2) is type(value.detach()) is torch.Tensor


def test_state_dicts_hold_plain_tensors():
    state = Scaled().state_dict()
    assert {type(value) for value in state.values()} == {torch.Tensor}


@pytest.mark.parametrize("name", METHODS)
def test_the_scales_of_all_methods_are_marked(name):
    method = Subject.of(name, None, (4, 2), (4,)).method()
    weight = torch.linspace(-1, 1, 24).reshape(4, 6)
    for quantizer in (method.weight_quantizer(weight), method.activation_quantizer()):
        named = [p for p, _ in quantizer.named_parameters() if p.startswith("scale")]
        assert list(quantizer.scales()) == named


class ByStep(DoubleRounding):
    """Double rounding whose inputs have a scale by another name."""

    def activation_quantizer(self):
        quantizer = super().activation_quantizer()
        quantizer.reach = Scale(torch.ones(()))
        return quantizer


def test_the_optimizer_for_scales_finds_them_by_kind(tiny_run):
    net = nn.Sequential(*[nn.Conv2d(3, 3, 1) for _ in range(3)])
    model = quantize(net, ByStep(ByStep.Options(), BITSET), example=(3, 8, 8))
    optimizers = Optimizers.of(model, tiny_run().training)
    (group,) = optimizers.scales.param_groups
    assert sum(p is net[1].activation_quantizer.reach for p in group["params"]) == 1
    assert all(isinstance(p, Scale) for p in group["params"])


def test_a_compiled_graph_takes_them_as_any_parameter():
    torch.compiler.reset()
    counters.clear()
    quantizer = Scaled()
    run = torch.compile(
        lambda x: x * quantizer.step.sum() * quantizer.reach.active, backend="eager"
    )
    for bits in BITSET:
        quantizer.reach.switch(bits)
        run(torch.ones(2)).sum().backward()
    assert quantizer.reach.of(4).grad == 1.5
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
