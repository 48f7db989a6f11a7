import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from bitswitch.errors import BitWidthError
from bitswitch.nn.dataflow import trace
from bitswitch.nn.kinds import weighted_layers
from bitswitch.plugins import registry

from .small_network import float_net


class Forked(nn.Module):
    """Two convolutions see the image; in training both classifiers answer, else their mean."""

    def __init__(self):
        super().__init__()
        self.head_b = nn.Linear(4, 2)
        self.wide = nn.Conv2d(3, 4, 3, padding=1)
        self.body = nn.Conv2d(4, 4, 3, padding=1)
        self.narrow = nn.Conv2d(3, 4, 1)
        self.tutor = nn.Linear(4, 2)
        self.head_a = nn.Linear(4, 2)
        self.norm = nn.BatchNorm2d(4)
        self.idle = nn.Linear(4, 4)

    def forward(self, x):
        x = functional.relu(self.norm(self.wide(x) + self.narrow(x)), inplace=True)
        x = functional.dropout(x + self.body(x), 0.5, self.training).mean((2, 3))
        found = self.head_a(x), self.head_b(x)
        return (*found, self.tutor(x)) if self.training else sum(found) / 2


def test_all_layers_at_both_ends_are_found():
    flow = trace(Forked(), (3, 8, 8))
    assert flow.ends == (("wide", "narrow"), ("head_b", "tutor", "head_a"))
    assert flow.trained - flow.evaluated == {"tutor"}
    assert "idle" not in flow.trained
    assert not flow.borrowed


@pytest.mark.parametrize("image", [None, (3, 8, 8)])
def test_the_network_and_random_numbers_stay_as_they_are(image):
    net = Forked()
    net.wide.requires_grad_(False)
    state, numbers = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    trace(net, image)
    assert torch.equal(torch.get_rng_state(), numbers)
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert net.norm.training
    assert not net.wide.weight.requires_grad
    assert all(p.grad is None for p in net.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


@pytest.mark.parametrize("name", ["resnet20", "mobilenetv2"])
def test_plain_networks_begin_and_end_where_they_are_registered(name):
    net = registry.create("models", name, {}).build(10, 0)
    names = list(weighted_layers(net))
    assert trace(net, (3, 32, 32)).ends == ((names[0],), (names[-1],))


@pytest.mark.parametrize(
    ("architecture", "arguments", "first", "last"),
    [
        ("vit_tiny_patch16_224", {}, ["patch_embed.proj"], ["head"]),
        ("deit_tiny_distilled_patch16_224", {}, ["patch_embed.proj"], ["head", "head_dist"]),
        (
            "repvgg_a0",
            None,
            ["stem.conv_kxk.conv", "stem.conv_1x1.conv"],
            ["head.fc"],
        ),
    ],
)
def test_networks_of_timm_begin_and_end_where_data_flows(architecture, arguments, first, last):
    small = {"img_size": 32, "patch_size": 8, "depth": 1, "embed_dim": 24}
    options = {"architecture": architecture, "arguments": {} if arguments is None else small}
    net = registry.create("models", "timm", options).build(10, 0)
    assert trace(net).ends == (tuple(first), tuple(last))


def test_a_weight_that_another_function_uses_is_found():
    class Borrowing(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.mid, self.head = (nn.Linear(4, 4) for _ in range(3))

        def forward(self, x):
            x = functional.linear(self.stem(x), self.mid.weight)
            return self.head(x) @ self.stem.weight.T

    assert trace(Borrowing()).borrowed == {"mid", "stem"}


def test_shapes_that_networks_commonly_take_are_tried():
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 28 * 28, 4), nn.Linear(4, 4))
    fixed = nn.Sequential(nn.Conv2d(1, 2, 5), nn.Flatten(), nn.Linear(2 * 24 * 24, 3))
    assert trace(flat).ends == (("1",), ("2",))
    assert trace(fixed).ends == (("0",), ("2",))
    assert trace(nn.Sequential(nn.Conv2d(2, 2, 1), nn.Unflatten(1, (7, 7)))) is None
    with pytest.raises(
        BitWidthError, match=r"Sequential does not take inputs of shape \[5, 8, 8\]"
    ):
        trace(float_net(), (5, 8, 8))
