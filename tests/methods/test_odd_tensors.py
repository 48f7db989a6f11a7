"""Quantizers of every method start from any finite tensor at something finite."""

import pytest
import torch

from bitswitch.plugins import registry
from bitswitch.quant.quantizer import Width
from bitswitch.testing.subject import Subject

METHODS = [name for name in registry.names("methods") if name != "float32"]
SHAPE = (4, 6)


def _one_huge(size):
    values = torch.linspace(-0.1, 0.1, 24)
    values[7] = size
    return values.reshape(SHAPE)


ODD = {
    "zeros": torch.zeros(SHAPE),
    "positive constant": torch.full(SHAPE, 0.3),
    "negative constant": torch.full(SHAPE, -0.3),
    "one channel of zeros": torch.linspace(-1, 1, 24).reshape(SHAPE)
    * torch.tensor([[0.0], [1.0], [1.0], [1.0]]),
    "one huge": _one_huge(1e6),
    "one enormous": _one_huge(-1e20),
    "denormal": torch.linspace(-1, 1, 24).reshape(SHAPE) * 1e-40,
}


def _finite(quantizer, values, bitset, has_codes=True):
    for bits in bitset:
        width = Width.of(bits, bitset)
        assert quantizer(values, width).isfinite().all()
        assert not has_codes or quantizer.encode(values, width).scale.isfinite().all()
    for scale in quantizer.scales().values():
        assert scale.isfinite().all()
        assert (scale > 0).all()


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", METHODS)
def test_quantizers_start_at_something_finite(name, kind):
    method = Subject.of(name, None, (4, 2), (4,)).method()
    weights = method.weight_quantizer(ODD[kind])
    inputs = method.activation_quantizer()
    inputs.initialize(ODD[kind])
    with torch.no_grad():
        _finite(weights, ODD[kind], method.bitset, method.storage != "tables")
        _finite(inputs, ODD[kind], method.bitset)
