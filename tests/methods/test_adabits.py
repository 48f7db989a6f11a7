import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn.functional import cross_entropy

from bitswitch.conversion import quantize
from bitswitch.methods.adabits import AdaBits
from bitswitch.quant.clipped import LearnedClipQuantizer
from bitswitch.quant.quantizer import Width
from bitswitch.quant.tanh import TanhQuantizer
from bitswitch.runtime.randomness import generator, seeded

BITSET = (8, 4, 2)
IMAGES = torch.randn(8, 3, 6, 6, generator=generator("images"))


def method(**options):
    return AdaBits(AdaBits.Options(**options), BITSET)


def quantized(**options):
    with seeded("network"):
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.ReLU(),
            nn.Conv2d(4, 4, 3),
            nn.Flatten(),
            nn.Linear(16, 8),
            nn.Linear(8, 5),
        )
    chosen = method(**options)
    model = quantize(net, chosen)
    chosen.on_quantized(model, 5)
    model.calibrate([IMAGES])
    return model


def test_weights_of_convolutions_and_linear_layers_are_rescaled_on_their_own():
    chosen = method(scheme="modified", rescale="stddev", linear_rescale="none")
    convolution, linear = (
        chosen.weight_quantizer(torch.randn(shape)) for shape in ((4, 3, 3, 3), (4, 3))
    )
    assert isinstance(convolution, TanhQuantizer)
    assert (convolution.scheme, convolution.rescale) == ("modified", "stddev")
    assert linear.rescale == "none"


def test_narrow_weights_are_stored_in_the_widest_by_default():
    weight = torch.randn(4, 3, 3, 3, generator=generator("weight"))
    quantize_weight = method().weight_quantizer(weight)
    stored = quantize_weight.encode(weight, Width.of(8, BITSET))
    for bits in BITSET:
        narrow = quantize_weight.narrow(stored, Width.of(bits, BITSET))
        expected = quantize_weight(weight, Width.of(bits, BITSET))
        assert torch.equal(narrow.decode(), expected)


def test_clips_may_start_as_published():
    layers = quantized(clip_init="constant").layers
    assert layers["2"].activation_quantizer.scale.of(4) == 8
    assert layers["4"].activation_quantizer.scale.of(4) == 10


def test_clips_start_at_the_range_of_the_inputs():
    layers = quantized().layers
    assert all(0 < layer.activation_quantizer.scale.of(4) < 5 for layer in layers.values())


def test_clips_are_switchable_unless_told_otherwise():
    own, shared = (method(switchable_clip=s).activation_quantizer() for s in (True, False))
    assert isinstance(own, LearnedClipQuantizer)
    assert len(own.scales()) == len(BITSET)
    assert len(shared.scales()) == 1


def test_signed_inputs_keep_their_sign_unless_as_published():
    layers = quantized().layers
    assert [layer.activation_quantizer.signed for layer in layers.values()] == [False, True]
    layers = quantized(sides="single").layers
    assert [layer.activation_quantizer.signed for layer in layers.values()] == [False, False]
    layers = quantized(sides="double").layers
    assert [layer.activation_quantizer.signed for layer in layers.values()] == [True, True]


@pytest.mark.parametrize(("first_last_bits", "expected"), [(None, None), (6, 6), ("widest", 8)])
def test_edge_layers_may_be_quantized(first_last_bits, expected):
    model = quantized(first_last_bits=first_last_bits)
    pinned = [layer.pinned for layer in model.quantized_layers.values() if layer.pinned]
    assert pinned == ([] if expected is None else [(expected, 32), (expected, expected)])


def test_edge_bits_are_a_bit_width():
    with pytest.raises(ValidationError):
        AdaBits.Options(first_last_bits=1)


def outputs(**options):
    model = quantized(first_last_bits=8, **options)
    model.switch(4)
    with torch.no_grad():
        return model.train()(IMAGES), model.eval()(IMAGES)


def test_linear_layers_evaluate_as_they_train():
    trained, evaluated = outputs()
    assert torch.equal(trained, evaluated)


def test_published_evaluation_changes_the_loss_but_no_decision_of_the_last_layer():
    model = quantized(first_last_bits=8)
    last, x = model.net[-1], torch.randn(16, 8, generator=generator("inputs"))
    published = quantized(first_last_bits=8, linear_evaluation="published").net[-1]
    with torch.no_grad():
        ours, theirs = last.eval()(x), published.eval()(x)
        assert torch.equal(published.train()(x), ours)
    assert torch.equal(ours.argmax(1), theirs.argmax(1))
    targets = torch.arange(16) % 5
    assert abs(cross_entropy(ours, targets) - cross_entropy(theirs, targets)) > 1e-2
    gain = last.weight_quantizer.gain(last.weight, Width.of(8, (8,)))
    torch.testing.assert_close(theirs * gain, ours)


@pytest.mark.parametrize(("dataset", "first_last_bits"), [("cifar10", "widest"), ("imagenet", 8)])
def test_published_recipes_quantize_edges_and_start_clips_as_published(dataset, first_last_bits):
    chosen = AdaBits.Options(**AdaBits.published_recipes[dataset].options)
    assert (chosen.first_last_bits, chosen.clip_init) == (first_last_bits, "constant")
