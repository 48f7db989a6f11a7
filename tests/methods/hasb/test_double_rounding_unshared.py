import torch

from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.methods.hasb.double_rounding_unshared import DoubleRoundingUnshared
from bitswitch.quant.lsq import ActivationQuantizer, WeightQuantizer
from bitswitch.quant.quantizer import Width

BITSET = (8, 4, 2)
WEIGHT = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))


def method(**options):
    return DoubleRoundingUnshared(DoubleRoundingUnshared.Options(**options), BITSET)


def test_every_bit_width_has_its_own_scale():
    quantizer = method().weight_quantizer(WEIGHT)
    assert isinstance(quantizer, WeightQuantizer)
    assert list(quantizer.scales()) == ["scale.8", "scale.4", "scale.2"]


def test_scales_start_where_the_shared_one_does():
    shared = DoubleRounding(DoubleRounding.Options(), BITSET).weight_quantizer(WEIGHT)
    own = method().weight_quantizer(WEIGHT)
    for bits in BITSET:
        ratio = Width.of(bits, BITSET).ratio
        torch.testing.assert_close(own.scale.of(bits).data, shared.scale.data * ratio)


def test_weights_are_rounded_once():
    width = Width.of(4, BITSET)
    quantizer = method().weight_quantizer(WEIGHT)
    step = quantizer.scale.of(4)
    expected = (WEIGHT / step).round().clamp(-8, 7) * step
    torch.testing.assert_close(quantizer(WEIGHT, width), expected)


def test_options_reach_the_quantizers():
    chosen = method(
        weight_granularity="per-channel",
        gradient_scale=False,
        weight_init="mean",
        activation_init="mean",
    )
    weights = chosen.weight_quantizer(WEIGHT)
    assert weights.scale.of(8).shape == (4, 1, 1, 1)
    assert (weights.gradient_scale, weights.init) == (False, "mean")
    activations = chosen.activation_quantizer()
    assert isinstance(activations, ActivationQuantizer)
    assert (activations.gradient_scale, activations.init) == (False, "mean")
