import pytest
import torch
from pydantic import ValidationError

from bitswitch.methods.lsq.lsq import Lsq
from bitswitch.quant.granularity import PerTensor
from bitswitch.quant.lsq import ActivationQuantizer, WeightQuantizer
from bitswitch.testing.subject import run_spec

WEIGHT = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))


def method(**options):
    return Lsq(Lsq.Options(**options), (4,))


def test_defaults_are_as_published():
    weights, activations = method().weight_quantizer(WEIGHT), method().activation_quantizer()
    assert isinstance(weights, WeightQuantizer)
    assert (weights.init, weights.symmetric, weights.granularity) == ("mean", False, PerTensor())
    assert (weights.gradient_scale, weights.gradient_count) == (True, "scale")
    assert isinstance(activations, ActivationQuantizer)
    assert (activations.init, activations.gradient_count) == ("mean", "image")


def test_options_reach_the_quantizers():
    chosen = method(
        weight_granularity="per-channel",
        symmetric=True,
        activation_init="one",
        gradient_count="tensor",
    )
    weights, activations = chosen.weight_quantizer(WEIGHT), chosen.activation_quantizer()
    assert weights.scale.of(4).shape == (4, 1, 1, 1)
    assert (weights.symmetric, weights.gradient_count) == (True, "tensor")
    assert (activations.init, activations.gradient_count) == ("one", "tensor")


def test_edges_are_float_unless_the_recipe_says_otherwise():
    assert method().first_last_bits is None
    assert method(**Lsq.published_recipes["imagenet"].options).first_last_bits == 8
    with pytest.raises(ValidationError):
        method(first_last_bits=1)


def test_a_run_has_one_bit_width():
    assert "one_network_per_bitwidth: true" in method().skip(run_spec("lsq", {}, (4, 2)))
    assert method().skip(run_spec("lsq", {}, (4,))) is None
