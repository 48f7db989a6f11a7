import pytest
import torch

from bitswitch.conversion import quantize

from .small_network import double_rounding, float_net


@pytest.fixture
def images():
    return torch.randn(6, 3, 12, 12, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def model(images):
    quantized = quantize(float_net(), double_rounding())
    quantized.calibrate([images])
    return quantized
