"""Tests of ``bitswitch.methods.zero_step``."""

from itertools import islice

import torch

from bitswitch.nn.norms.switchable import SwitchableBatchNorm
from bitswitch.nn.recalibration import recalibrate
from bitswitch.testing.subject import Subject, batches


def started(method: str, **options):
    return Subject.of(method, options or None).train_state()


def norms_of(model):
    found = [one for one in model.modules() if isinstance(one, SwitchableBatchNorm)]
    return {
        f"{place}.{key}": value
        for place, one in enumerate(found)
        for key, value in one.state_dict().items()
    }


def test_nothing_but_statistics_differs_from_the_start_of_double_rounding():
    zero, start = started("zero-step"), started("double-rounding")
    assert not zero.method.trains
    before = {key: value.clone() for key, value in zero.model.state_dict().items()}
    assert before.keys() == start.model.state_dict().keys()
    assert all(torch.equal(value, before[key]) for key, value in start.model.state_dict().items())
    zero.method.finish(zero.model, batches)
    changed = {
        key for key, value in zero.model.state_dict().items() if not torch.equal(value, before[key])
    }
    assert changed
    assert all("running" in key or "num_batches" in key for key in changed)


def test_statistics_are_those_of_a_few_training_batches_at_every_bit_width():
    zero, other = started("zero-step", recalibration_batches=2), started("double-rounding")
    zero.method.finish(zero.model, batches)
    recalibrate(other.model, lambda: (batch.inputs for batch in islice(batches(), 2)))
    expected = norms_of(other.model)
    assert expected
    assert all(torch.equal(value, expected[key]) for key, value in norms_of(zero.model).items())
