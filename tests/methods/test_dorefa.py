import pytest
import torch

from bitswitch.methods.dorefa import DoReFa
from bitswitch.quant.clipped import ClippedQuantizer
from bitswitch.quant.quantizer import Width
from bitswitch.quant.tanh import TanhQuantizer

BITSET = (8, 4, 2)


def method():
    return DoReFa(DoReFa.Options(), BITSET)


def test_quantizers_are_the_published_ones_and_learn_nothing():
    weights = method().weight_quantizer(torch.randn(4, 3, 3, 3))
    inputs = method().activation_quantizer()
    assert isinstance(weights, TanhQuantizer)
    assert (weights.scheme, weights.rescale) == ("original", "none")
    assert type(inputs) is ClippedQuantizer
    assert not [*weights.parameters(), *inputs.parameters()]


def test_inputs_are_clipped_to_one_and_signed_only_where_they_need_it():
    inputs, x = method().activation_quantizer(), torch.tensor([-3.0, 0.2, 3.0])
    width = Width.of(8, BITSET)
    inputs.initialize(x.relu())
    assert inputs(x, width)[[0, 2]].tolist() == pytest.approx([0, 1])
    inputs.initialize(x)
    assert inputs(x, width)[[0, 2]].tolist() == pytest.approx([-1, 1])


def test_edge_layers_keep_full_precision():
    assert method().first_last_bits is None
