import pytest
import torch

from bitswitch.errors import Diverged, UnknownPluginError
from bitswitch.testing import CheckFailed, Subject
from bitswitch.testing.subject import batch, logits, network, step_info, take_step
from tests.testing.plain import Plain


class OneWidth(Plain):
    def skip(self, spec):
        return "it trains one bit-width per network" if len(spec.bitset) > 1 else None


class NoWidth(Plain):
    def skip(self, spec):
        return "today is not its day"


def test_a_method_is_looked_at_where_it_can_run(subject_of):
    assert subject_of(Plain).bitset == (8, 4, 2)
    assert subject_of(OneWidth).bitset == (8,)
    with pytest.raises(CheckFailed, match="today is not its day"):
        subject_of(NoWidth)


def test_an_unknown_method_is_told():
    with pytest.raises(UnknownPluginError):
        Subject.of("doubel-rounding")


def test_everything_is_the_same_every_time(subject_of):
    first, second = network().state_dict(), network().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(batch().inputs, batch().inputs)
    draws = [torch.rand((), generator=step_info(step).generator) for step in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    first, second = subject_of(Plain), subject_of(Plain)
    assert torch.equal(logits(first.deployed, 4), logits(second.deployed, 4))
    assert first.deployed is first.deployed


def test_random_numbers_of_others_are_left_alone(subject_of):
    before = torch.get_rng_state()
    assert subject_of(Plain).deployed
    assert torch.equal(torch.get_rng_state(), before)


class Explodes(Plain):
    def loss(self, context):
        raise Diverged("loss is NaN at 8 bit in step 3")


def test_divergence_is_a_finding(subject_of):
    with pytest.raises(CheckFailed, match="diverges in step 3: loss is NaN"):
        take_step(subject_of(Explodes).train_state(), 3)
