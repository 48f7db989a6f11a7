from itertools import count

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from bitswitch.contracts.data import Batch
from bitswitch.conversion import quantize
from bitswitch.methods.ptmq.adaround import AdaRoundQuantizer
from bitswitch.methods.ptmq.ptmq import Ptmq
from bitswitch.methods.ptmq.squared_error import SquaredErrorActivationQuantizer
from bitswitch.models.cifar_resnet import CifarResNet
from bitswitch.nn.norms.switchable import SwitchableBatchNorm
from bitswitch.types import FLOAT_BITS

BITSET = (8, 4, 2)
SHORT = {"iterations": 3, "images": 40, "batch_size": 16}


def batches(size=16):
    for number in count():
        draw = torch.Generator().manual_seed(number)
        images = torch.randn(size, 3, 8, 8, generator=draw)
        yield Batch(images, torch.zeros(size, dtype=torch.int64), torch.arange(size))


def network(preactivation=False):
    torch.manual_seed(0)
    return CifarResNet(1, 10, preactivation).eval()


def quantized(preactivation=False, **options):
    method = Ptmq(Ptmq.Options(**SHORT | options), BITSET)
    model = quantize(network(preactivation), method).eval()
    model.calibrate([next(batches()).inputs])
    return method, model


IMAGES = next(batches()).inputs


def outputs(model):
    found = {}
    for bits in (*BITSET, FLOAT_BITS):
        with model.at(bits), torch.no_grad():
            found[bits] = model(IMAGES)
    return found


def finished(seed=0, **options):
    method, model = quantized(**options)
    torch.manual_seed(seed)
    method.finish(model, batches)
    return model


def test_defaults_are_those_of_the_public_reimplementation():
    options = Ptmq.Options()
    assert (options.iterations, options.batch_size, options.images) == (5000, 32, 1024)
    assert options.scale_learning_rate == 4e-5
    assert (options.distillation, options.penalty) == (100, 0.01)
    assert (options.exponents, options.warm_up, options.drop) == ((20, 2), 0.2, 0.5)


@pytest.mark.parametrize("preactivation", [False, True])
def test_folding_changes_nothing_at_full_precision(preactivation):
    _, model = quantized(preactivation)
    with model.at(FLOAT_BITS), torch.no_grad():
        torch.testing.assert_close(model(IMAGES), network(preactivation)(IMAGES))
    norms = [m for m in model.modules() if isinstance(m, SwitchableBatchNorm | nn.BatchNorm2d)]
    assert len(norms) == (4 if preactivation else 0)


def test_quantizers_round_adaptively_and_start_at_the_least_error():
    _, model = quantized()
    for layer in model.layers.values():
        assert isinstance(layer.weight_quantizer, AdaRoundQuantizer)
        assert isinstance(layer.activation_quantizer, SquaredErrorActivationQuantizer)


def test_every_bit_width_comes_closer_to_full_precision():
    """A plain network, whose layers are its units."""
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(128, 16), nn.ReLU(), nn.Linear(16, 4)),
    )
    method = Ptmq(Ptmq.Options(iterations=80, batch_size=16, images=64), BITSET)
    model = quantize(net.eval(), method).eval()
    model.calibrate([IMAGES])
    before = outputs(model)
    torch.manual_seed(0)
    method.finish(model, batches)
    after = outputs(model)
    assert torch.equal(before[FLOAT_BITS], after[FLOAT_BITS])
    for bits in BITSET:
        nearest, learned = (
            (found[bits] - found[FLOAT_BITS]).square().mean() for found in (before, after)
        )
        assert learned < nearest


def test_what_is_learned_is_kept_and_loaded():
    model = finished()
    _, other = quantized()
    other.load_state_dict(model.state_dict())
    for bits, expected in outputs(model).items():
        with other.at(bits):
            assert torch.equal(other(IMAGES), expected)


def test_it_depends_on_the_seed_alone():
    first, second, third = (outputs(finished(seed)) for seed in (0, 0, 1))
    for bits in BITSET:
        assert torch.equal(first[bits], second[bits])
        assert not torch.equal(first[bits], third[bits])


def test_a_scale_is_that_learned_with_weights_of_its_width():
    """At 8 bit all groups are one, so nothing of the narrower bit-widths may remain."""
    model = finished()
    alone = Ptmq(Ptmq.Options(**SHORT), (8,))
    single = quantize(network(), alone).eval()
    single.calibrate([IMAGES])
    torch.manual_seed(0)
    alone.finish(single, batches)
    for name, layer in model.layers.items():
        expected = single.layers[name].activation_quantizer.scale.of(8)
        assert torch.equal(layer.activation_quantizer.scale.of(8), expected)


def test_edge_layers_keep_their_bit_width_and_round_to_nearest():
    model = finished(first_last_bits=8)
    first, last = (model.net.get_submodule(name) for name in ("conv1", "fc"))
    assert (first.pinned, last.pinned) == ((8, FLOAT_BITS), (8, 8))
    for layer in (first, last):
        assert not layer.weight_quantizer.rounding.any()
    assert all(layer.weight_quantizer.rounding.all() for layer in model.layers.values())


def test_the_published_recipe_is_valid():
    for recipe in Ptmq.published_recipes.values():
        assert Ptmq.Options(**recipe.options).first_last_bits == 8


@pytest.mark.parametrize("options", [{"drop": 1.5}, {"first_last_bits": 32}, {"iterations": 0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValidationError):
        Ptmq.Options(**options)
