import copy

import pytest
import torch
from torch import nn

from bitswitch.errors import BitWidthError
from bitswitch.methods.mbquant.branches import Branches, branch_out, copies
from bitswitch.models.cifar_resnet import CifarResNet
from bitswitch.types import FLOAT_BITS

SERVING = {8: (0, 1), 4: (1,)}


def scaled(factor):
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, factor)
    return layer


@pytest.fixture
def branches():
    return Branches([scaled(1.0), scaled(3.0), scaled(8.0)], SERVING)


@pytest.mark.parametrize(("bits", "mean"), [(8, 2.0), (4, 3.0), (FLOAT_BITS, 4.0)])
def test_the_mean_of_the_branches_in_use_goes_on(branches, bits, mean):
    branches.selection.follow((bits, bits), (8, 8))
    assert branches(torch.ones(1, 1)).item() == mean


def test_branches_not_in_use_do_not_run_and_are_inactive(branches):
    branches.selection.switch(4)
    branches(torch.ones(1, 1)).backward()
    assert [b.weight.grad is None for b in branches.branches] == [True, False, True]
    first, _, last = branches.branches
    assert branches.selection.inactive_parameters() == [first.weight, last.weight]


def test_a_copy_of_the_module_knows_its_own_branches(branches):
    other = copy.deepcopy(branches)
    other.selection.switch(8)
    assert other.selection.inactive_parameters()[0] is other.branches[2].weight


def test_copies_differ_by_the_noise_and_come_out_the_same_every_time():
    body = nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8))
    first, second, third = copies(body, 3, noise=0.1)
    assert first is body
    spread = body[0].weight.std()
    for other in (second, third):
        ratio = (other[0].weight - body[0].weight).std() / spread
        assert ratio.item() == pytest.approx(0.1, rel=0.1)
        assert torch.equal(other[0].bias, body[0].bias)
    assert not torch.equal(second[0].weight, third[0].weight)
    assert torch.equal(copies(body, 2, noise=0.1)[1][0].weight, second[0].weight)
    assert torch.equal(copies(body, 2, noise=0.0)[1][0].weight, body[0].weight)


def resnet18():
    from torchvision.models import resnet18

    return resnet18(num_classes=10)


def mobilenet():
    from torchvision.models import mobilenet_v2

    return mobilenet_v2(num_classes=10)


@pytest.mark.parametrize(
    ("build", "size"),
    [
        (lambda: CifarResNet(1, 10, preactivation=True), 32),
        (lambda: CifarResNet(1, 10, preactivation=False), 32),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.ReLU(), nn.LazyLinear(5)), 8),
        pytest.param(resnet18, 32, marks=pytest.mark.slow),
        pytest.param(mobilenet, 32, marks=pytest.mark.slow),
    ],
)
def test_equal_branches_compute_what_the_network_did(build, size):
    net = build().eval()
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        before = net(images)
        wrapped = branch_out(net, lambda body: Branches(copies(body, 2, 0.0), {8: (0, 1)}))
        after = wrapped(images)
    torch.testing.assert_close(after, before)
    layers = [m for m in wrapped.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    inside = [m for b in wrapped.modules() if isinstance(b, Branches) for m in b.modules()]
    body = {id(m) for m in inside}
    assert id(layers[0]) not in body
    assert id(layers[-1]) not in body


def test_an_unknown_form_is_refused():
    with pytest.raises(BitWidthError, match="where its body begins"):
        branch_out(nn.Linear(2, 2), lambda body: body)
