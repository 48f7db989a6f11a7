import pytest
import torch
from torch.nn.functional import one_hot

from bitswitch.contracts.data import Batch
from bitswitch.spec.training import TrainingSpec
from bitswitch.training.distillation import (
    Distillation,
    ps_kd_target,
    ps_kd_weight,
)

TEACHER = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
TARGETS = torch.tensor([0, 2])
BATCH = Batch(torch.zeros(2, 3, 4, 4), TARGETS, torch.tensor([4, 1]))


def make(distillation, **changes):
    recipe = {
        "epochs": 10,
        "batch_size": 2,
        "learning_rate": 5e-4,
        "distillation": distillation,
        **changes,
    }
    return Distillation(TrainingSpec(**recipe), images=6, classes=3)


def test_ps_kd_weight_grows_to_its_published_end():
    assert [ps_kd_weight(epoch, 10) for epoch in (0, 4, 9)] == pytest.approx([0.07, 0.35, 0.7])


def test_ps_kd_target_mixes_label_and_previous_prediction():
    target = ps_kd_target(TARGETS, TEACHER, 0.4)
    torch.testing.assert_close(target[0], torch.tensor([0.6 + 0.28, 0.08, 0.04]))
    torch.testing.assert_close(target.sum(1), torch.ones(2))


def test_ps_kd_target_is_the_label_where_nothing_is_remembered():
    target = ps_kd_target(TARGETS, torch.zeros(2, 3), 0.4)
    torch.testing.assert_close(target, one_hot(TARGETS, 3).float())


def test_ps_kd_remembers_the_widest_prediction_by_image():
    distillation = make("ps-kd")
    distillation.targets(BATCH, epoch=8)
    distillation.remember(TEACHER.log(), epoch=8)
    torch.testing.assert_close(distillation.memory.before(torch.tensor([4, 1]), 9), TEACHER)
    assert not distillation.memory.before(torch.tensor([0, 2, 3, 5]), 9).any()
    torch.testing.assert_close(
        distillation.targets(BATCH, epoch=9), ps_kd_target(TARGETS, TEACHER, 0.7)
    )


@pytest.mark.parametrize("distillation", ["none", "neighbour"])
def test_nothing_is_remembered_without_ps_kd(distillation):
    made = make(distillation)
    made.remember(TEACHER.log(), epoch=2)
    assert made.memory is None
    assert made.sync() == 0
    assert made.targets(BATCH, epoch=3) is TARGETS


def test_labels_are_smoothed_when_asked():
    targets = make("none", label_smoothing=0.3).targets(BATCH, epoch=0)
    torch.testing.assert_close(targets, torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]]))
