import pytest
import torch
from pydantic import ValidationError

from bitswitch.conversion import quantize
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.models.cifar_resnet import ResNet8
from bitswitch.quant.double_rounding import DoubleRoundingQuantizer
from bitswitch.quant.lsq import ActivationQuantizer

WEIGHT = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))


def method(**options):
    return DoubleRounding(DoubleRounding.Options(**options), (8, 4, 2))


def test_defaults_are_as_published():
    quantizer = method().weight_quantizer(WEIGHT)
    assert isinstance(quantizer, DoubleRoundingQuantizer)
    assert (quantizer.rounding, quantizer.gradient) == ("double", "derivative")
    assert quantizer.scale.shape == ()


def test_options_reach_the_quantizers():
    quantizer = method(
        weight_granularity="per-channel", rounding="floor", gradient="printed", gradient_scale=False
    )
    weights = quantizer.weight_quantizer(WEIGHT)
    assert (weights.rounding, weights.gradient, weights.gradient_scale) == (
        "floor",
        "printed",
        False,
    )
    assert weights.scale.shape == (4, 1, 1, 1)
    activations = method(activation_init="mean").activation_quantizer()
    assert isinstance(activations, ActivationQuantizer)
    assert activations.init == "mean"


def test_an_unknown_option_is_refused():
    with pytest.raises(ValidationError):
        DoubleRounding.Options(roundings="double")


def test_edges_are_float_unless_they_get_a_bit_width():
    for options, pinned in (({}, []), ({"first_last_bits": 8}, [(8, 32), (8, 8)])):
        net = ResNet8(ResNet8.Options()).build(10, 0)
        model = quantize(net, method(**options))
        layers = model.quantized_layers.values()
        assert [layer.pinned for layer in layers if layer.pinned] == pinned
