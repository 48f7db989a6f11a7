"""What every installed model promises."""

import pytest
import torch
from torch import nn

from bitswitch import plugins

NEEDED = {"timm": {"architecture": "mobilenetv2_050"}}
"""Options without a default."""


@pytest.fixture(params=plugins.names("models"))
def model(request):
    return plugins.create("models", request.param, NEEDED.get(request.param, {}))


def test_it_builds_a_trainable_network(model):
    net = model.build(5, 0)
    logits = net(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, 5)
    logits.sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    assert model.source


def test_it_holds_layers_that_can_be_quantized(model):
    kinds = [type(module) for module in model.build(5, 0).modules()]
    assert kinds.count(nn.Conv2d) > 2
    assert nn.Linear in kinds


def test_its_weights_depend_on_the_seed_alone(model):
    before = torch.get_rng_state()
    first, second, other = (model.build(5, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
