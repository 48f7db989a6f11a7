import pytest
import torch
from torch import nn

from bitswitch.methods.rfquant.distortion import OutputDistortion


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 4),
        nn.BatchNorm1d(4),
        nn.ReLU(inplace=True),
        nn.Linear(4, 4),
        nn.BatchNorm1d(4),
    )


@pytest.fixture
def distortion(net):
    return OutputDistortion({"first": net[1], "second": net[4]})


X, OTHER = torch.randn(8, 3), torch.randn(8, 3)


def outputs(net, x):
    first = net[1](net[0](x))
    return first, net[4](net[3](first.relu()))


def test_it_is_the_sum_of_mean_squared_differences(net, distortion):
    kept, now = outputs(net, X), outputs(net, OTHER)
    distortion.keep()
    net(X)
    distortion.compare({"first", "second"})
    net(OTHER)
    expected = sum((a - b).square().mean() for a, b in zip(kept, now, strict=True))
    torch.testing.assert_close(distortion.take(), expected)


def test_only_the_named_modules_are_compared_and_kept_outputs_serve_again(net, distortion):
    distortion.keep()
    net(X)
    found = []
    for names in ({"first"}, {"second"}, {"first", "second"}):
        distortion.compare(names)
        net(OTHER)
        found.append(distortion.take())
    torch.testing.assert_close(found[0] + found[1], found[2])
    assert found[0] > 0 < found[1]


def test_gradients_reach_the_compared_pass_alone(net, distortion):
    distortion.keep()
    kept = X.clone().requires_grad_()
    net(kept)
    distortion.compare({"second"})
    compared = OTHER.clone().requires_grad_()
    net(compared)
    distortion.take().backward()
    assert kept.grad is None
    assert compared.grad.abs().sum() > 0


def test_taking_ends_the_comparison(net, distortion):
    distortion.keep()
    net(X)
    distortion.compare({"first"})
    net(OTHER)
    distortion.take()
    net(X)
    assert distortion.take() == 0


def test_nothing_is_seen_in_evaluation_nor_without_gradients(net, distortion):
    distortion.keep()
    net(X)
    distortion.compare({"first", "second"})
    with torch.no_grad():
        net(OTHER)
    net.eval()(OTHER)
    assert distortion.take() == 0


def test_forgotten_outputs_are_not_compared(net, distortion):
    distortion.keep()
    net(X)
    distortion.clear()
    distortion.compare({"first"})
    net(OTHER)
    assert distortion.take() == 0
