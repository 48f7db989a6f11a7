import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax, softmax

from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import PassContext
from bitswitch.conversion import quantize
from bitswitch.methods.any_precision import AnyPrecision
from bitswitch.quant.clipped import ClippedQuantizer
from bitswitch.quant.tanh import TanhQuantizer
from bitswitch.runtime.randomness import generator
from bitswitch.spec.run import Choice, RunSpec
from bitswitch.spec.training import TrainingSpec
from bitswitch.types import FLOAT_BITS

BITSET = (8, 4, 2)


def method(**options):
    return AnyPrecision(AnyPrecision.Options(**options), BITSET)


def training(**changes):
    return TrainingSpec(
        epochs=1, batch_size=4, learning_rate=5e-4, **{"update": "conventional", **changes}
    )


def chain(**options):
    passes = method(**options).passes(training(), None, [])
    return [(one.bits, one.teacher) for one in passes]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(8, None), (4, 0), (2, 1)]),
        ({"distillation": "hard"}, [(8, None), (4, None), (2, None)]),
        ({"distillation": "teacher"}, [(32, None), (8, 0), (4, 0), (2, 0)]),
        ({"float_pass": True}, [(32, None), (8, 0), (4, 1), (2, 2)]),
        (
            {"float_pass": True, "distillation": "hard"},
            [(32, None), (8, None), (4, None), (2, None)],
        ),
    ],
)
def test_every_pass_has_its_published_teacher(options, expected):
    assert chain(**options) == expected


def test_gradients_are_summed_unless_the_recipe_updates_after_every_pass():
    summed = method().passes(training(), None, [])
    separate = method().passes(training(update="separate"), None, [])
    assert not any(one.update for one in summed)
    assert all(one.update for one in separate)


def test_a_taught_pass_does_not_see_the_labels():
    student, teacher = torch.randn(4, 3), torch.randn(4, 3)
    targets = torch.arange(4) % 3
    batch = Batch(torch.zeros(4), targets, targets)
    first, second, _ = method().passes(training(), None, [])
    lessons = [
        PassContext(part, student, targets, batch, [teacher], None, None)
        for part in (first, second)
    ]
    hard, soft = (method().loss(context) for context in lessons)
    torch.testing.assert_close(hard, cross_entropy(student, targets))
    expected = -(softmax(teacher, 1) * log_softmax(student, 1)).sum(1).mean()
    torch.testing.assert_close(soft, expected)


def test_quantizers_are_the_published_ones():
    weights = method().weight_quantizer(torch.randn(4, 3, 3, 3))
    assert isinstance(weights, TanhQuantizer)
    assert (weights.scheme, weights.rescale) == ("original", "mean")
    assert type(method().activation_quantizer()) is ClippedQuantizer


@pytest.mark.parametrize("options", [{"float_pass": True}, {"distillation": "teacher"}])
def test_full_precision_has_batch_norms_of_its_own(options):
    layers = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)
    model = quantize(nn.Sequential(*layers), method(**options))
    model.train()
    norm = model.net[2]
    before = norm.running_mean.clone()
    with model.at(FLOAT_BITS):
        model(torch.randn(2, 3, 9, 9, generator=generator("images")))
    moved = (norm.running_mean != before).any(1).tolist()
    assert moved == [True, False, False, False]
    assert norm.copy == 8


def test_without_a_float_pass_it_has_none():
    assert method().normalization(nn.BatchNorm2d(4)).bitset == BITSET


def spec(**changes):
    return RunSpec(
        method=Choice(name="any-precision"),
        model=Choice(name="resnet8"),
        dataset=Choice(name="digits"),
        bitset=BITSET,
        training=training(**changes),
        seed=0,
    )


def test_a_second_distillation_is_refused():
    assert method().skip(spec()) is None
    assert "distillation" in method().skip(spec(distillation="neighbour"))


def test_published_recipes_train_at_full_precision_too():
    for recipe in AnyPrecision.published_recipes.values():
        assert chain(**recipe.options)[0] == (FLOAT_BITS, None)
