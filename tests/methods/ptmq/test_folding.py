import copy

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.methods.ptmq.folding import fold_batch_norms
from bitswitch.models.cifar_resnet import CifarResNet

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def with_statistics(net):
    """Give every batch norm statistics and parameters that make a difference."""
    for number, module in enumerate(m for m in net.modules() if isinstance(m, _BatchNorm)):
        draw = torch.Generator().manual_seed(number)
        module.running_mean.copy_(torch.randn(module.num_features, generator=draw) * 0.2)
        module.running_var.copy_(torch.rand(module.num_features, generator=draw) + 0.5)
        if module.affine:
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=draw)
            nn.init.uniform_(module.bias, -0.2, 0.2, generator=draw)
    return net.eval()


def norms(net):
    return [name for name, module in net.named_modules() if isinstance(module, _BatchNorm)]


NETS = {
    "original": lambda: CifarResNet(1, 10, preactivation=False),
    "preactivation": lambda: CifarResNet(1, 10, preactivation=True),
    "resnet18": lambda: torchvision.models.resnet18(num_classes=10),
    "mobilenet_v2": lambda: torchvision.models.mobilenet_v2(num_classes=10),
    "timm": lambda: timm.create_model("efficientnet_lite0", num_classes=10),
    "linear": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(3072, 8), nn.BatchNorm1d(8, affine=False), nn.Linear(8, 4)
    ),
}


@pytest.mark.parametrize("kind", NETS)
@torch.no_grad()
def test_the_folded_network_is_the_same_function(kind):
    torch.manual_seed(0)
    net = with_statistics(NETS[kind]()).double()
    folded = copy.deepcopy(net)
    assert fold_batch_norms(folded)
    expected = net(IMAGES.double())
    torch.testing.assert_close(folded(IMAGES.double()), expected, rtol=1e-9, atol=1e-9)
    assert expected.std() > 0


def test_only_batch_norms_behind_a_layer_are_folded():
    net = with_statistics(NETS["preactivation"]())
    assert fold_batch_norms(net) == [f"stages.{stage}.0.bn2" for stage in range(3)]
    assert norms(net) == ["bn", "stages.0.0.bn1", "stages.1.0.bn1", "stages.2.0.bn1"]
    for kind in ("original", "resnet18", "mobilenet_v2", "timm"):
        net = with_statistics(NETS[kind]())
        fold_batch_norms(net)
        assert norms(net) == []


class Shared(nn.Module):
    """Its first batch norm cannot be folded: the convolution is read twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.twice, self.after = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        x = self.conv(x)
        x = x + self.bn(x)
        return self.after(self.twice(self.twice(x)))


class Branching(nn.Module):
    """Cannot be traced symbolically."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.bn(self.conv(x)) if x.sum() > 0 else x


@pytest.mark.parametrize("kind", [Shared, Branching])
def test_what_cannot_be_folded_is_left_alone(kind):
    net = with_statistics(kind())
    before = copy.deepcopy(net)
    assert fold_batch_norms(net) == []
    assert torch.equal(net(IMAGES), before(IMAGES))


def test_untracked_batch_norms_are_left_alone():
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False))
    assert fold_batch_norms(net) == []
