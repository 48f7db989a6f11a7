import torch
from torch import nn

from bitswitch.methods.rfquant.averaging import ParameterAverage


def test_it_is_the_exponential_moving_average():
    net = nn.Linear(3, 2)
    average = ParameterAverage(net.parameters())
    average.start(net.parameters(), 0.25)
    expected = [p.detach().clone() for p in net.parameters()]
    for _ in range(5):
        with torch.no_grad():
            for p, e in zip(net.parameters(), expected, strict=True):
                p.add_(torch.randn_like(p))
                e.mul_(0.75).add_(p, alpha=0.25)
        average.add(net.parameters())
    newest = net.weight.clone()
    average.restore(net.parameters())
    for p, e in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(p.data, e)
    assert not torch.equal(net.weight, newest)


def test_restored_parameters_are_no_views_of_the_average():
    net = nn.Linear(3, 2)
    average = ParameterAverage(net.parameters())
    average.restore(net.parameters())
    before = average.values.clone()
    net.weight.data.zero_()
    assert torch.equal(average.values, before)


def test_it_is_saved_with_its_rate():
    net, other = nn.Linear(3, 2), nn.Linear(3, 2)
    average, loaded = (ParameterAverage(n.parameters()) for n in (net, other))
    average.start(net.parameters(), 0.1)
    loaded.load_state_dict(average.state_dict())
    loaded.restore(other.parameters())
    assert torch.equal(other.weight, net.weight)
    assert loaded.rate == average.rate


def test_the_order_in_memory_does_not_matter():
    net = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    weight = net.weight.detach().clone()
    average = ParameterAverage(net.parameters())
    net.weight.data.zero_()
    average.restore(net.parameters())
    assert torch.equal(net.weight, weight)
