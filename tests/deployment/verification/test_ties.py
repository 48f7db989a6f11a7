import pytest
import torch

from bitswitch.deployment.verification.ties import TOLERANCE, Causes, Trace, causes_in, close_logits
from tests.deployment import exported

LEVELS = 4.0
NEAR = TOLERANCE * LEVELS


def causes(*inputs):
    """Return what is found for one image whose (codes, others, values) come one after another."""
    found = Causes(1, torch.device("cpu"))
    for codes, others, values in inputs:
        parts = (torch.tensor([part]) for part in (codes, others))
        found.add(*parts, torch.tensor([values]), LEVELS)
    return found.tie.item(), found.other.item()


SAME = ([1, 2], [1, 2], [1.1, 2.1])
TIE = ([1, 2], [2, 2], [1.5 - NEAR / 2, 2.1])
FAR = ([1, 2], [2, 2], [1.5 - NEAR * 2, 2.1])
TWO = ([1, 2], [3, 2], [2.0, 2.1])
BOTH = ([1, 2], [2, 3], [1.5, 2.1])


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ((SAME, SAME), (False, False)),
        ((SAME, TIE), (True, False)),
        ((TIE, FAR), (True, False)),  # follows from the tie
        ((FAR, TIE), (False, True)),
        ((TWO,), (False, True)),
        ((BOTH,), (False, True)),
    ],
)
def test_the_first_codes_that_differ_decide(inputs, expected):
    assert causes(*inputs) == expected


def test_every_image_on_its_own():
    found = Causes(3, torch.device("cpu"))
    codes = torch.tensor([[1, 1], [1, 1], [1, 1]])
    others = torch.tensor([[1, 1], [2, 1], [0, 1]])
    found.add(codes, others, torch.full((3, 2), 1.5), LEVELS)
    assert found.tie.tolist() == [False, True, False]
    assert found.other.tolist() == [False, False, True]


def test_windows_of_an_image_belong_to_it():
    found = Causes(2, torch.device("cpu"))
    codes = torch.ones(6, 4, dtype=torch.int32)
    others = codes.clone()
    others[4, 1] = 2
    found.add(codes, others, torch.full((6, 4), 1.5), LEVELS)
    assert found.tie.tolist() == [False, True]


def test_logits_are_close_by_the_largest():
    logits = torch.tensor([[100.0, 100.0 - 1e-4, 0.0], [1.0, 1.0 - 1e-4, 0.0], [3.0, 2.0, 1.0]])
    others = logits[:, [1, 0, 2]]
    assert close_logits(logits, others).tolist() == [True, False, False]


def test_a_model_is_compared_with_its_integers(pair):
    model, integers = pair
    x = exported.images()
    trace = Trace()
    with model.at(4), integers.at(4), torch.no_grad():
        integers(x, trace.observe)
        assert {codes[0].dtype for codes in trace.codes.values()} == {torch.int16}
        trace.codes["stages.1.0.conv2"][0][2] += 1
        with causes_in(model, trace, len(x)) as found:
            model(x)
    assert found.other.nonzero().flatten().tolist() == [2]
    assert not any(trace.codes.values())  # every input was looked at
    assert set(trace.accumulators) == set(model.layers)
    assert not any(layer._forward_pre_hooks for layer in model.layers.values())
