import pytest
import torch
from torch import nn

from bitswitch.contracts.method import StepInfo
from bitswitch.conversion import quantize
from bitswitch.methods.q_dnn import QDnn
from bitswitch.quant.tanh import TanhQuantizer
from bitswitch.spec.run import RunSpec
from bitswitch.spec.training import TrainingSpec
from bitswitch.types import FLOAT_BITS

BITSET = (8, 4, 2)
TRAINING = TrainingSpec(epochs=1, batch_size=1, learning_rate=5e-4)
MOMENT = StepInfo(0, 1, 0, 10, torch.Generator())


def method(**options):
    return QDnn(QDnn.Options(**options), BITSET)


def passes(training=TRAINING, **options):
    return method(**options).passes(training, MOMENT, ["conv"])


def test_full_precision_comes_first_and_has_no_teacher():
    first, *rest = passes()
    assert (first.bits, first.teacher) == (FLOAT_BITS, None)
    assert [one.bits for one in rest] == list(BITSET)


@pytest.mark.parametrize(("teacher", "positions"), [("above", [0, 1, 2]), ("float", [0, 0, 0])])
def test_modes_match_the_one_above_or_full_precision(teacher, positions):
    assert [one.teacher for one in passes(teacher=teacher)[1:]] == positions


def test_consistency_is_the_teachers_share():
    assert [one.distill_weight for one in passes(consistency=0.25)[1:]] == [0.25] * 3


@pytest.mark.parametrize(("update", "expected"), [("conventional", False), ("separate", True)])
def test_all_passes_update_or_none(update, expected):
    training = TrainingSpec(epochs=1, batch_size=1, learning_rate=5e-4, update=update)
    assert {one.update for one in passes(training)} == {expected}


def test_full_precision_has_batch_norms_of_its_own():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2)
    )
    model = quantize(net, method())
    model.switch(FLOAT_BITS)
    model(torch.randn(8, 3, 6, 6)).sum().backward()
    norm = net[2]
    assert norm.running_mean[0].any()
    assert not norm.running_mean[1:].any()
    assert norm.weight.of(FLOAT_BITS).grad is not None
    assert norm.weight.of(8).grad is None


def test_quantizers_are_those_of_dorefa():
    quantizer = method().weight_quantizer(torch.randn(4, 3))
    assert isinstance(quantizer, TanhQuantizer)
    assert (quantizer.scheme, quantizer.rescale) == ("original", "none")


@pytest.mark.parametrize("distillation", ["none", "neighbour"])
def test_distillation_of_the_recipe_is_refused(distillation):
    spec = RunSpec(
        method="q-dnn",
        model="resnet8",
        dataset="digits",
        bitset=BITSET,
        training={
            "epochs": 1,
            "batch_size": 1,
            "learning_rate": 5e-4,
            "distillation": distillation,
        },
        seed=0,
    )
    assert bool(method().skip(spec)) == (distillation != "none")
