import math

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from bitswitch.contracts import Batch, Pass
from bitswitch.spec import TrainingSpec
from bitswitch.training.distillation import (
    Distillation,
    neighbour_loss,
    probabilities,
    ps_kd_target,
    ps_kd_weight,
)

CPU = torch.device("cpu")
LOGITS = torch.tensor([[2.0, 0.5, -1.0], [0.1, 0.2, 0.3]])
TEACHER = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
TARGETS = torch.tensor([0, 2])
BATCH = Batch(torch.zeros(2, 3, 4, 4), TARGETS, torch.tensor([4, 1]))


def make(distillation, **changes):
    recipe = {"epochs": 10, "batch_size": 2, "distillation": distillation, **changes}
    return Distillation(TrainingSpec(**recipe), images=6, classes=3, device=CPU)


def scalar_soft_loss(logits, soft):
    total = 0.0
    for row, wanted in zip(logits.tolist(), soft.tolist(), strict=True):
        norm = math.log(sum(map(math.exp, row)))
        total -= sum(share * (value - norm) for share, value in zip(wanted, row, strict=True))
    return total / len(logits)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_neighbour_loss_mixes_teacher_and_labels(weight):
    hard = scalar_soft_loss(LOGITS, one_hot(TARGETS, 3))
    expected = weight * scalar_soft_loss(LOGITS, TEACHER) + (1 - weight) * hard
    assert float(neighbour_loss(LOGITS, TARGETS, TEACHER, weight)) == pytest.approx(expected)


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
    distillation.remember(BATCH, {8: TEACHER, 2: torch.zeros(2, 3)})
    torch.testing.assert_close(distillation.memory[BATCH.indices], TEACHER)
    assert distillation.memory.count_nonzero() == 6
    torch.testing.assert_close(
        distillation.targets(BATCH, epoch=9), ps_kd_target(TARGETS, TEACHER, 0.7)
    )


@pytest.mark.parametrize("distillation", ["none", "neighbour"])
def test_nothing_is_remembered_without_ps_kd(distillation):
    made = make(distillation)
    made.remember(BATCH, {8: TEACHER})
    assert made.memory.numel() == 0
    assert made.targets(BATCH, epoch=3) is TARGETS


def test_a_pass_without_teacher_learns_the_targets():
    loss = make("neighbour").loss(LOGITS, TARGETS, Pass(8), {})
    torch.testing.assert_close(loss, cross_entropy(LOGITS, TARGETS))


def test_a_pass_learns_from_the_teacher_it_names():
    loss = make("neighbour").loss(LOGITS, TARGETS, Pass(4, teacher=8), {8: TEACHER})
    assert float(loss) == pytest.approx(scalar_soft_loss(LOGITS, TEACHER))


def test_teachers_get_no_gradient():
    logits = LOGITS.clone().requires_grad_()
    assert not probabilities(logits).requires_grad
