"""Every installed method trains a decoder of two blocks, or refuses it in one sentence."""

import pytest
import torch

from bitswitch.plugins import facts, registry
from bitswitch.testing import CHECKS, Subject
from bitswitch.testing.deployment import trained_value_is_the_deployed_one
from bitswitch.testing.learning import compiled_is_eager
from bitswitch.testing.subject import BITSETS, TEXTS, run_spec
from bitswitch.types import FLOAT_BITS

SHORT = {
    "ptmq": {"iterations": 1, "images": 4},
    "quept": {"epochs": 1, "images": 4, "rank": 1},
    "kure": {"evaluations": 1, "images": 4},
    "l1-regularization": {"evaluations": 1, "images": 4},
}
"""Options for methods that search long at the end of training."""
SLOW = {*SHORT, "eq-net"}
"""Methods that are tried at one bit-width alone."""
REFUSED = {"mbquant"}
"""Methods that say why they cannot."""


@pytest.fixture(scope="module", params=[n for n in registry.names("methods") if n not in REFUSED])
def subject(request):
    few = [(4,)] if request.param in SLOW else []
    return Subject.of(request.param, SHORT.get(request.param), *few, material=TEXTS)


def test_it_trains_and_what_trains_is_what_is_deployed(subject):
    model = subject.deployed
    for bits in (FLOAT_BITS, *subject.bitset):
        assert subject.logits(model, bits).isfinite().all()
    subject.__dict__["wide"] = subject  # its own bit-widths are enough here
    trained_value_is_the_deployed_one(subject)
    if subject.name == "float32":
        return
    down = model.layers["model.layers.0.mlp.down_proj"]
    assert down.float_input
    assert not model.layers["model.layers.0.mlp.up_proj"].float_input
    assert "lm_head" not in model.layers


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_it_refuses_in_one_sentence(name):
    for bitset in BITSETS[:-1]:
        reason = facts.refusal(run_spec(name, {}, bitset, TEXTS))
        assert reason
        assert "\n" not in reason


def test_a_narrow_input_is_signed_and_the_head_is_not_quantized():
    model = Subject.of("lsq", material=TEXTS).train_state().model
    assert all(
        layer.float_input or layer.activation_quantizer.signed for layer in model.layers.values()
    )
    assert type(model.net.lm_head) is torch.nn.Linear


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    "check",
    [check for check in CHECKS if check is not compiled_is_eager],
    ids=lambda check: check.__name__,
)
def test_contract(check, subject):
    check(Subject.of(subject.name, SHORT.get(subject.name), material=TEXTS))
