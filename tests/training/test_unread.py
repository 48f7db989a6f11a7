import math

import pytest
import torch

from bitswitch.errors import Diverged
from bitswitch.runtime import transfers
from bitswitch.training.step import queue_step, train_step
from bitswitch.training.unread import Unread

RATE = 1e-3
CONVENTIONAL = {"update": "conventional", "alrs": None}
PLAIN = {"alrs": None, "record_scale_gradients": True}
ALRS = {"alrs": {"variant": "relative"}}


@pytest.fixture
def transferred(monkeypatch):
    """Return a list that grows by one with every transfer to the host."""
    found, before = [], transfers.to_host
    monkeypatch.setattr(transfers, "to_host", lambda values: found.append(values) or before(values))
    return found


def test_numbers_are_read_in_one_transfer_and_in_order(transferred):
    unread, seen = Unread(), []
    unread.add(torch.tensor([0.5, 1.5]), lambda sent: seen.append(("first", sent)))
    unread.add(torch.zeros(0, dtype=torch.int64), lambda sent: seen.append(("nothing", sent)))
    unread.add(torch.tensor([1, 2]), lambda sent: seen.append(("last", sent)))
    assert not seen
    for _ in range(2):
        unread.read()
        assert seen == [("first", [0.5, 1.5]), ("nothing", []), ("last", [1, 2])]
    assert len(transferred) == 1


def test_what_follows_an_error_is_dropped():
    unread, seen = Unread(), []

    def stop(sent):
        raise Diverged("here")

    unread.add(torch.zeros(1), stop)
    unread.add(torch.zeros(1), seen.append)
    with pytest.raises(Diverged):
        unread.read()
    unread.read()
    assert not seen


def queued(train_state, batches, step_info, start=0):
    """Take a step per batch as an accelerator would; return the results that were received."""
    train_state.reads_at_once, found = False, []
    for step, batch in enumerate(batches, start):
        queue_step(train_state, batch, RATE, step_info(step), found.append)
    return found


@pytest.mark.parametrize(
    ("recipe", "most"),
    [
        (CONVENTIONAL, 1),
        (PLAIN, 1),
        ({"bitset": (32,)}, 1),
        (ALRS, 1),
        ({"alrs": {"variant": "literal", "target": "scales+weights"}, "optimizer": "adam"}, 1),
        ({**ALRS, "scale_step": "lars"}, 1),
        ({**ALRS, "scale_step": "lamb", "scale_optimizer": "adam"}, 1),
    ],
)
def test_reading_late_changes_no_number(
    make_learner, tiny_run, batch, step_info, transferred, recipe, most
):
    run = tiny_run(**{"optimizer": "sgd", **recipe})
    there, late = (make_learner(run) for _ in range(2))
    expected = [train_step(there, batch, RATE, step_info(step)) for step in range(3)]
    transferred.clear()
    found = queued(late, [batch] * 3, step_info)
    assert len(found) < 3
    late.unread.read()
    assert len(transferred) <= most
    assert found == expected
    assert late.reflections == there.reflections
    for name, value in there.model.state_dict().items():
        assert torch.equal(late.model.state_dict()[name], value), name


def message_of(act):
    with pytest.raises(Diverged) as error:
        act()
    return str(error.value)


@pytest.mark.parametrize("recipe", [CONVENTIONAL, ALRS])
def test_a_loss_that_was_not_finite_is_named_when_it_is_read(
    make_learner, tiny_run, batch, step_info, recipe
):
    broken = batch._replace(inputs=batch.inputs * math.nan)
    late = make_learner(tiny_run(**recipe))
    found = queued(late, [batch, broken, batch], step_info)
    assert message_of(late.unread.read) == "the loss is nan at 8 bit in step 1"
    assert len(found) == 1


@pytest.mark.parametrize("recipe", [PLAIN, ALRS])
def test_the_scale_that_broke_first_is_named_as_at_once(
    make_learner, tiny_run, batch, step_info, recipe
):
    def learner():
        train_state = make_learner(tiny_run(**recipe))
        layer = train_state.model.net.get_submodule("stages.0.0.conv1")
        with torch.no_grad():
            layer.weight_quantizer.scale.zero_()
        return train_state

    there, late = learner(), learner()
    expected = message_of(lambda: train_step(there, batch, RATE, step_info(0)))
    queued(late, [batch] * 3, step_info)
    assert message_of(late.unread.read) == expected
    assert "the weight scale of layer 'stages.0.0.conv1' at 8 bit is 0" in expected


@pytest.mark.parametrize("recipe", [CONVENTIONAL, PLAIN, ALRS])
def test_scales_that_a_step_broke_are_named_with_that_step_s_values(
    make_learner, tiny_run, batch, step_info, recipe
):
    recipe = {"scale_guard": "stop", "scale_learning_rate": 10.0, **recipe}
    there, late = (make_learner(tiny_run(**recipe)) for _ in range(2))
    expected = message_of(lambda: train_step(there, batch, RATE, step_info(5)))
    found = queued(late, [batch] * 3, step_info, start=5)
    assert message_of(late.unread.read) == expected
    assert not found
