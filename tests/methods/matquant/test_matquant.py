import pytest
import torch
from pydantic import ValidationError
from torch import nn

from bitswitch.contracts.method import Pass, PassContext
from bitswitch.conversion import quantize
from bitswitch.errors import SpecError
from bitswitch.methods.matquant.matquant import MatQuant
from bitswitch.nn.dataflow import NO_ENDS
from bitswitch.plugins import facts
from bitswitch.testing.subject import batch, run_spec, step_info

BITSET = (8, 6, 4, 3, 2)


def method(bitset=BITSET, **options):
    return MatQuant(MatQuant.Options(**options), bitset)


def passes(one):
    return one.passes(run_spec("matquant", {}, (8, 4)).training, step_info(), ["a"])


def test_one_step_for_all_trained_widths_the_others_are_sliced():
    one = method(trained=(8, 4, 2))
    assert passes(one) == [Pass(8), Pass(4), Pass(2)]
    assert one.sliced == (6, 3)
    assert method().sliced == ()


def test_two_bits_alone_are_still_sliced_from_eight():
    for one in (method(trained=(2,)), method(trained=(8, 2), loss_weights=(0, 1))):
        assert passes(one) == [Pass(2)]
        assert one.sliced == (8, 6, 4, 3)


def test_the_widest_logits_teach_co_distilled_widths():
    one = method(trained=(8, 4, 2), co_distillation=(2,))
    assert passes(one) == [Pass(8), Pass(4), Pass(2, teacher=0, distill_weight=0.5)]


@pytest.mark.parametrize(("weights", "expected"), [(None, (0.1, 0.1, 1.0)), ((3, 2, 1), (3, 2, 1))])
def test_losses_keep_their_value_and_gradients_are_weighted(weights, expected):
    one = method(trained=(8, 4, 2), loss_weights=weights)
    part = batch()
    for bits, weight in zip((8, 4, 2), expected, strict=True):
        logits = torch.randn(16, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
        context = PassContext(Pass(bits), logits, part.targets, part, (), None, step_info())
        loss = one.loss(context)
        plain = one.task.loss(logits, part.targets)
        assert loss.item() == plain.item()
        (grad,) = torch.autograd.grad(loss, logits)
        (unweighted,) = torch.autograd.grad(plain, logits)
        torch.testing.assert_close(grad, weight * unweighted)


@pytest.mark.parametrize(
    ("options", "training", "reason"),
    [
        ({"trained": (8, 5)}, {}, "names 5 bit"),
        ({"co_distillation": (7,)}, {}, "names 7 bit; those that a wider one can teach are {4,2}"),
        ({"trained": (8, 2), "co_distillation": (4,)}, {}, "names 4 bit"),
        ({"co_distillation": (8,)}, {}, "names 8 bit"),
        ({"loss_weights": (1.0,)}, {}, "1 loss weights for 3"),
        ({}, {"update": "separate"}, "one step for all"),
        ({}, {"distillation": "neighbour"}, "co_distillation"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(options, training, reason):
    assert reason in facts.refusal(run_spec("matquant", options, (8, 4, 2), **training))


@pytest.mark.parametrize(
    "options", [{"trained": (2, 8)}, {"trained": ()}, {"loss_weights": (0, 0)}, {"trained": (8, 8)}]
)
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(ValidationError):
        MatQuant.Options(**options)


def test_sliced_widths_have_no_batch_norm_of_their_own():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    with pytest.raises(SpecError, match=r"copy for the sliced bit-widths \{6,3\}"):
        quantize(net, method(trained=(8, 4, 2)), ends=NO_ENDS, example=(4,))
