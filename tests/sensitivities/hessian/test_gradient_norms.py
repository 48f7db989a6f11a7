import pytest
import torch
from torch import nn

from bitswitch.sensitivities.hessian.gradient_norms import squared_norms

LAYERS = {
    "few positions": (nn.Conv2d(6, 8, 3, padding=1), (6, 4, 4)),
    "many positions": (nn.Conv2d(2, 3, 3, padding=1), (2, 9, 9)),
    "stride": (nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False), (4, 7, 7)),
    "dilation": (nn.Conv2d(2, 3, (3, 2), padding=(2, 1), dilation=2), (2, 8, 9)),
    "depthwise": (nn.Conv2d(4, 4, 3, groups=4), (4, 5, 5)),
    "groups": (nn.Conv2d(8, 16, 3, groups=2), (8, 4, 4)),
    "same": (nn.Conv2d(2, 3, 4, padding="same"), (2, 6, 6)),
    "reflect": (nn.Conv2d(8, 9, 3, padding=1, padding_mode="reflect"), (8, 4, 4)),
    "channels last": (nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last), (3, 9, 9)),
    "linear": (nn.Linear(5, 4), (5,)),
    "few tokens": (nn.Linear(16, 12), (4, 16)),
    "many tokens": (nn.Linear(3, 2), (2, 5, 3)),
}


@pytest.mark.parametrize("case", LAYERS)
def test_norms_are_those_of_gradients_of_single_images(case):
    layer, shape = LAYERS[case]
    layer = layer.double()
    source = torch.Generator().manual_seed(0)
    inputs = torch.randn(3, *shape, generator=source, dtype=torch.float64)
    outputs = layer(inputs)
    gradient = torch.randn(outputs.shape, generator=source, dtype=torch.float64)
    norms = squared_norms(layer, inputs, outputs.shape)
    for factor in (1.0, 2.0):  # one forward pass serves many backward passes
        for index, found in enumerate(norms(factor * gradient)):
            (one,) = torch.autograd.grad(
                layer(inputs[index : index + 1]), layer.weight, factor * gradient[index : index + 1]
            )
            torch.testing.assert_close(found, one.square().sum(), rtol=1e-12, atol=0)
