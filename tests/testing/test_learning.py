import pytest
import torch

from bitswitch.quant.per_bit import PerBit
from bitswitch.testing import CheckFailed
from bitswitch.testing.learning import (
    compiled_is_eager,
    finishing_leaves_it_ready,
    gradients_are_finite_and_reach_everything,
    scales_are_marked,
    training_lowers_the_loss,
)
from tests.testing.plain import Plain, PlainQuantizer


class Detached(PlainQuantizer):
    def forward(self, x, width):
        return super().forward(x, width).detach()


class InfiniteGradient(PlainQuantizer):
    def forward(self, x, width):
        return super().forward(x, width) + 0 * torch.sqrt(x.abs() - x.abs().detach())


class OtherWhenCompiled(PlainQuantizer):
    def forward(self, x, width):
        if torch.compiler.is_compiling():
            x = x * 2
        return super().forward(x, width)


def with_quantizer(cls):
    return type("Broken", (Plain,), {"quantizer": cls})


class SlightlyOtherWhenCompiled(PlainQuantizer):
    def forward(self, x, width):
        if torch.compiler.is_compiling():
            x = x * (1 + 1e-4)
        return super().forward(x, width)


class InSinglePrecision(PlainQuantizer):
    def forward(self, x, width):
        return super().forward(x, width).float()


class Unmarked(PlainQuantizer):
    def __init__(self, weight, bitset):
        super().__init__(weight, bitset)
        self.scale = PerBit(bitset, weight.abs().max() / 2)


class Unlearns(Plain):
    def loss(self, context):
        return -super().loss(context)


class FinishesBadly(Plain):
    trains = False

    def finish(self, model, batches):
        for layer in model.layers.values():
            layer.weight.data *= torch.nan


class FinishesWell(Plain):
    trains = False

    def finish(self, model, batches):
        model.calibrate(batch.inputs for batch in batches())


BROKEN = {
    "no gradient": (
        gradients_are_finite_and_reach_everything,
        with_quantizer(Detached),
        r"No gradient but zero reaches .*net\.3\.weight",
    ),
    "infinite gradient": (
        gradients_are_finite_and_reach_everything,
        with_quantizer(InfiniteGradient),
        "is not finite in training step 0|Training diverges",
    ),
    "wrong direction": (training_lowers_the_loss, Unlearns, "At 8 bit, 10 training steps"),
    "unmarked scale": (scales_are_marked, with_quantizer(Unmarked), "'scale.8' of the weight"),
    "broken end": (finishing_leaves_it_ready, FinishesBadly, "not finite"),
    "compiled": (compiled_is_eager, with_quantizer(OtherWhenCompiled), "Compiled, the"),
    "compiled, slightly": (
        compiled_is_eager,
        with_quantizer(SlightlyOtherWhenCompiled),
        "Compiled, the",
    ),
    "precision": (
        compiled_is_eager,
        with_quantizer(InSinglePrecision),
        r"float64 fails: .*\n  Keep the precision",
    ),
}


@pytest.mark.parametrize(("check", "method", "message"), BROKEN.values(), ids=BROKEN)
def test_what_does_not_learn_is_told(subject_of, check, method, message):
    with pytest.raises(CheckFailed, match=message):
        check(subject_of(method))


@pytest.mark.parametrize("check", [case[0] for case in BROKEN.values()])
@pytest.mark.parametrize("method", [Plain, FinishesWell])
def test_what_learns_passes(subject_of, check, method):
    check(subject_of(method))
