import pytest
import torch
from torch import nn
from torch.nn import functional

from bitswitch.errors import SpecError
from bitswitch.sensitivities.hessian.piecewise_linear import require_piecewise_linear
from tests.nn.small_network import float_net

IMAGES = torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def check(model, images=IMAGES):
    model.eval().requires_grad_(False)
    layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    for layer in layers.values():
        layer.weight.requires_grad_()
    require_piecewise_linear(model, {n: m.weight for n, m in layers.items()}, images)


class Block(nn.Module):
    """Calls ``function`` on what its first convolution makes, before the second."""

    def __init__(self, function):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)
        self.function = function

    def forward(self, x):
        return self.second(self.function(self.first(x)))


def around(*modules):
    return nn.Sequential(*modules, nn.Flatten(), nn.LazyLinear(4))


def built(model):
    model(IMAGES)
    return model


@pytest.mark.parametrize(
    "function",
    [
        functional.relu,
        functional.relu6,
        functional.leaky_relu,
        lambda x: x + functional.max_pool2d(x, 3, 1, 1),
        lambda x: torch.cat([x[:, :1], 2 * x[:, 1:] / 3], 1),
        lambda x: functional.interpolate(functional.avg_pool2d(x, 2), size=10),
        lambda x: functional.pad(x, (1, 1, 1, 1)).clamp(-1, 1),
        lambda x: functional.dropout(x, training=False),
    ],
)
def test_piecewise_linear_functions_pass(function):
    check(built(around(Block(function))))


def test_networks_of_layers_norms_and_pooling_pass():
    check(float_net())


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (nn.SiLU(), r"'1' \(SiLU\) computes 'Silu'"),
        (nn.Softmax(1), r"'1' \(Softmax\) computes 'Softmax'"),
        (nn.Hardswish(), r"'1' \(Hardswish\) computes 'Hardswish'"),
        (nn.GroupNorm(1, 3), r"'1' \(GroupNorm\)"),
        (Block(torch.tanh), r"'1' \(Block\) computes 'Tanh'"),
        (Block(lambda x: x * x.mean((2, 3), keepdim=True)), r"'1' \(Block\) multiplies .* '0'"),
        (Block(lambda x: 1 / x), r"'1' \(Block\) computes 'Reciprocal'"),
        (Block(lambda x: x.detach() / x), r"'1' \(Block\) computes 'Div'"),
        (nn.BatchNorm2d(3, track_running_stats=False), r"'1' \(BatchNorm2d\) normalizes"),
    ],
)
def test_the_first_curved_module_is_named(module, named):
    model = built(around(nn.Conv2d(3, 3, 1), module, nn.SiLU()))
    with pytest.raises(SpecError, match=named) as found:
        check(model)
    assert "'hutchinson'" in str(found.value)


def test_curves_before_the_first_weight_do_not_matter():
    check(built(around(nn.Tanh(), nn.Conv2d(3, 3, 1))))


def test_a_weight_used_twice_is_named():
    model = built(around(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Identity()))
    model[2] = model[0]
    with pytest.raises(SpecError, match="'0' is used 2 times"):
        check(model)


def test_a_weight_that_is_not_used_is_named():
    model = built(around(nn.Conv2d(3, 3, 3)))
    model.rest = nn.ModuleList([nn.Linear(2, 2)])
    model.forward = lambda x: model[2](model[1](model[0](x)))
    with pytest.raises(SpecError, match=r"'rest\.0' is used 0 times"):
        check(model)
