import math

import pytest
import torch
from torch.nn.functional import kl_div, log_softmax, one_hot, softmax

from bitswitch.nn.losses import distilled, smoothed, soft_cross_entropy

LOGITS = torch.tensor([[2.0, 0.5, -1.0], [0.1, 0.2, 0.3]])
TEACHER = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
TARGETS = torch.tensor([0, 2])


def scalar_loss(logits, wanted):
    total = 0.0
    for row, shares in zip(logits.tolist(), wanted.tolist(), strict=True):
        norm = math.log(sum(map(math.exp, row)))
        total -= sum(share * (value - norm) for share, value in zip(shares, row, strict=True))
    return total / len(logits)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_distillation_mixes_teacher_and_labels(share):
    hard = scalar_loss(LOGITS, one_hot(TARGETS, 3))
    expected = share * scalar_loss(LOGITS, TEACHER) + (1 - share) * hard
    assert float(distilled(LOGITS, TARGETS, TEACHER.log(), share)) == pytest.approx(expected)


def test_soft_targets_may_stand_for_labels():
    labels = distilled(LOGITS, TARGETS, TEACHER.log(), 0.5)
    torch.testing.assert_close(
        distilled(LOGITS, one_hot(TARGETS, 3).float(), TEACHER.log(), 0.5), labels
    )


def test_soft_cross_entropy_has_the_gradient_of_the_divergence():
    one, other = LOGITS.clone().requires_grad_(), LOGITS.clone().requires_grad_()
    soft_cross_entropy(one, TEACHER.log()).backward()
    kl_div(log_softmax(other, 1), TEACHER, reduction="batchmean").backward()
    torch.testing.assert_close(one.grad, other.grad)
    torch.testing.assert_close(one.grad, (softmax(LOGITS, 1) - TEACHER) / 2)


def test_smoothing_spreads_a_share_evenly():
    expected = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    torch.testing.assert_close(smoothed(TARGETS, 3, 0.3), expected)
