import torch

from bitswitch.methods.lsq.affine import AffineActivationQuantizer
from bitswitch.methods.lsq.lsq_plus import LsqPlus
from bitswitch.quant.lsq import WeightQuantizer
from bitswitch.testing.subject import run_spec

WEIGHT = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))


def method(**options):
    return LsqPlus(LsqPlus.Options(**options), (4,))


def test_activations_are_asymmetric_and_weights_are_not():
    weights, activations = method().weight_quantizer(WEIGHT), method().activation_quantizer()
    assert isinstance(weights, WeightQuantizer)
    assert [name for name, _ in weights.named_parameters()] == ["scale.4"]
    assert (weights.init, weights.symmetric, weights.gradient_count) == (
        "three-sigma",
        False,
        "scale",
    )
    assert isinstance(activations, AffineActivationQuantizer)
    assert (activations.gradient_scale, activations.gradient_count) == (True, "image")


def test_options_reach_method_and_quantizers():
    chosen = method(weight_granularity="per-channel", first_last_bits=8)
    assert chosen.weight_quantizer(WEIGHT).scale.of(4).shape == (4, 1, 1, 1)
    assert chosen.first_last_bits == 8
    assert method().first_last_bits is None


def test_a_run_has_one_bit_width():
    assert "network per bit-width" in method().skip(run_spec("lsq-plus", {}, (8, 2)))
    assert method().skip(run_spec("lsq-plus", {}, (2,))) is None
