import json

import pytest
import torch

from bitswitch.contracts.method import StepInfo
from bitswitch.errors import CheckpointError, SpecError
from bitswitch.results.files import read_json, read_lines
from bitswitch.results.records import Step
from bitswitch.runtime.randomness import generator
from bitswitch.training import checkpoint
from bitswitch.training.step import PassResult, train_step


def result(bits, rate):
    return PassResult(bits, loss=1.0, headline=2, mean_gradient=0.5, scale_learning_rate=rate)


def stored(session):
    return checkpoint.load(session.directory.path / checkpoint.NAME, session.spec.run_id)


def advance(session, batch):
    at = session.at
    step_info = StepInfo(at.epoch, 10, at.step, 100, generator("test", at.step))
    results = train_step(session.train_state, batch, 1e-3, step_info)
    session.at.count(results, len(batch.targets))


def test_steps_follow_from_images_epochs_and_batch(open_session, tiny_run):
    session = open_session(tiny_run(epochs=5))
    assert (session.steps_per_epoch, session.steps, session.line_interval) == (3, 15, 1)


def test_a_batch_larger_than_the_split_is_refused(open_session, tiny_run):
    with pytest.raises(SpecError, match="batch_size 49 is larger than the 48 training examples"):
        open_session(tiny_run(batch_size=49))


def test_steps_with_a_negative_rate_are_counted(open_session, tiny_run):
    at = open_session(tiny_run(bitset=(4, 2))).at
    at.count([result(4, 0.1), result(2, -0.1)], examples=16)
    at.count([result(4, 0.1), result(2, 0.1)], examples=16)
    assert at.step == 2
    assert at.negative == {4: 0, 2: 1}
    assert at.meters[2].examples == 32


def line_of(step):
    return Step(step=step, loss={}, scale_learning_rate={}, mean_gradient={})


@pytest.mark.parametrize("distillation", ["none", "ps-kd"])
def test_everything_that_changes_survives(open_session, tiny_run, batch, distillation):
    run = tiny_run(distillation=distillation)
    first = open_session(run)
    first.directory.open_lines({})
    first.directory.append("steps", line_of(0))
    advance(first, batch)
    first.save()
    expected = [p.detach().clone() for p in first.train_state.model.parameters()]
    advance(first, batch)
    first.directory.append("steps", line_of(1))
    first.directory.__exit__()

    second = open_session(run)
    state = stored(second)
    second.directory.open_lines(state["lines"])
    second.resume(state)
    assert second.at.step == 1
    assert [line["step"] for line in read_lines(second.directory.path / "steps.jsonl")] == [0]
    for value, before in zip(second.train_state.model.parameters(), expected, strict=True):
        assert torch.equal(value, before)
    advance(second, batch)
    for a, b in zip(
        first.train_state.model.state_dict().values(),
        second.train_state.model.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(a, b)
    assert second.at.meters == first.at.meters
    if distillation == "ps-kd":
        memories = (one.train_state.distillation.memory for one in (first, second))
        a, b = (memory.before(torch.arange(48), epoch=1) for memory in memories)
        assert a.any()
        assert torch.equal(a, b)
    for bits, gradients in first.train_state.gradients.items():
        assert second.train_state.gradients[bits].summary() == gradients.summary()


def test_a_finished_training_keeps_no_more_than_the_model(open_session, tiny_run):
    session = open_session(tiny_run(epochs=1))
    session.directory.open_lines({})
    session.save()
    assert "optimizers" in stored(session)
    session.at.epoch = 1
    session.save()
    assert "optimizers" not in stored(session)


def test_a_checkpoint_is_due_when_the_last_one_is_old(open_session, tiny_run):
    session = open_session(tiny_run())
    session.directory.open_lines({})
    path = session.directory.path / checkpoint.NAME
    session.save_interval_s = 1000.0
    session.save_if_due()
    assert not path.exists()
    session.save_interval_s = 0.0
    session.save_if_due()
    assert path.exists()


def test_a_state_that_does_not_fit_says_how_to_start_over(open_session, tiny_run):
    session = open_session(tiny_run())
    session.directory.open_lines({})
    session.save()
    state = stored(session)
    state["model"].popitem()
    with pytest.raises(CheckpointError, match=r"does not fit the code: RuntimeError(.*\n)*.*rm '"):
        open_session(tiny_run()).resume(state)


def test_a_heartbeat_tells_how_far_the_run_is(open_session, tiny_run, batch):
    session = open_session(tiny_run())
    session.directory.open_lines({})
    session.heartbeat(at_once=True)
    path = session.directory.path / "progress.json"
    assert read_json(path)["eta_s"] is None
    advance(session, batch)
    session.at.held_out = {8: 50.0, 4: 40.0, 2: 30.0}
    session.heartbeat(at_once=True)
    progress = read_json(path)
    assert progress["run_id"] == session.spec.run_id
    assert [progress[key] for key in ("epoch", "epochs", "step", "steps")] == [0, 2, 1, 6]
    assert json.dumps(progress["held_out"]) == '{"8": 50.0, "4": 40.0, "2": 30.0}'
    assert progress["eta_s"] > 0
