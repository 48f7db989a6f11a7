import pytest
import torch
from torch import nn

from bitswitch.contracts.data import Model
from bitswitch.runtime.randomness import seeded
from bitswitch.testing import CheckFailed
from bitswitch.testing.models import (
    MODEL_CHECKS,
    network_can_be_trained,
    network_has_layers_to_quantize,
    weights_depend_on_the_seed_alone,
)
from bitswitch.types import Strict


class Small(Model):
    def build(self, outputs, seed):
        with seeded("small", seed):
            return nn.Sequential(
                nn.Conv2d(3, 4, 3),
                nn.Conv2d(4, 4, 3),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(4, outputs),
            )


class ManyLogits(Small):
    def build(self, outputs, seed):
        return super().build(outputs + 1, seed)


class Idle(Small):
    def build(self, outputs, seed):
        net = super().build(outputs, seed)
        net.register_parameter("idle", nn.Parameter(torch.ones(())))
        return net


class Thin(Model):
    def build(self, outputs, seed):
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, outputs))


class Unseeded(Small):
    def build(self, outputs, seed):
        return super().build(outputs, int(torch.randint(2**40, ())))


class OwnDraws(Small):
    count = 0

    def build(self, outputs, seed):
        type(self).count += 1
        return super().build(outputs, self.count)


class OneSeed(Small):
    def build(self, outputs, seed):
        return super().build(outputs, 0)


BROKEN = {
    "logits": (network_can_be_trained, ManyLogits, r"shape \[2, 6\]"),
    "idle": (network_can_be_trained, Idle, "No gradient reaches idle"),
    "thin": (network_has_layers_to_quantize, Thin, "has 1 plain"),
    "global draws": (weights_depend_on_the_seed_alone, Unseeded, "global random numbers"),
    "different": (weights_depend_on_the_seed_alone, OwnDraws, "same seed"),
    "one seed": (weights_depend_on_the_seed_alone, OneSeed, "different seeds"),
}


@pytest.mark.parametrize(("check", "model", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_model_is_told(check, model, message):
    with pytest.raises(CheckFailed, match=message):
        check(model(Strict()))


@pytest.mark.parametrize("check", MODEL_CHECKS)
def test_a_small_model_passes(check):
    check(Small(Strict()))
