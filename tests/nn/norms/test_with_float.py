import torch
from torch import nn

from bitswitch.nn.norms.with_float import FloatSwitchableBatchNorm
from bitswitch.types import FLOAT_BITS


def test_full_precision_has_statistics_and_parameters_of_its_own():
    norm = FloatSwitchableBatchNorm(nn.BatchNorm2d(3), (8, 4))
    assert norm.copy == 8
    norm.follow((FLOAT_BITS, FLOAT_BITS), (8, 8))
    norm(torch.randn(4, 3, 2, 2) + 5).sum().backward()
    assert norm.running_mean[0].min() > 0
    assert not norm.running_mean[1:].any()
    grads = {name: p.grad is not None for name, p in norm.weight.named_parameters()}
    assert grads == {"32": True, "8": False, "4": False}


def test_it_follows_the_narrower_operand():
    norm = FloatSwitchableBatchNorm(nn.BatchNorm2d(3), (8, 4))
    norm.follow((FLOAT_BITS, 4), (8, 8))
    assert norm.copy == 4
