import math

import pytest
import torch

from bitswitch.contracts.data import OpenDataset
from bitswitch.contracts.metric import Found
from bitswitch.errors import Diverged, Interrupted, PluginError
from bitswitch.results.files import read_lines
from bitswitch.training.loop import run_epochs, score
from bitswitch.training.updates.optimizers import scheduled

BITS = ["8", "4", "2"]


@pytest.fixture
def session(open_session, tiny_run):
    session = open_session(tiny_run())
    session.directory.open_lines({})
    return session


def records(session, name):
    return read_lines(session.directory.path / f"{name}.jsonl")


def test_every_epoch_is_recorded(session):
    run_epochs(session)
    first, last = records(session, "train")
    assert [first["epoch"], first["steps"], last["epoch"], last["steps"]] == [0, 3, 1, 6]
    assert last["learning_rate"] == scheduled(session.spec.training, 5, 6)
    for line in (first, last):
        assert list(line["bits"]) == BITS
        for values in line["bits"].values():
            assert 0 <= values["top1"] <= 100
            assert 0 <= values["held_out_top1"] <= 100
            assert values["loss"] > 0
            assert values["held_out_loss"] > 0
            assert values["scale_learning_rate"] > 0
            assert values["negative_share"] == 0
            assert 0 < values["mean_gradient"] < 1
        for operand in ("weight", "activation"):
            assert list(line["scale_gradients"][operand]) == BITS
            for layers in line["scale_gradients"][operand].values():
                assert set(layers) == set(session.train_state.model.layers)


def test_an_epoch_record_is_the_mean_of_its_steps(session):
    run_epochs(session)
    steps, epochs = records(session, "steps"), records(session, "train")
    assert [line["step"] for line in steps] == list(range(6))
    for epoch, line in enumerate(epochs):
        part = steps[3 * epoch : 3 * epoch + 3]
        for bits in BITS:
            for key in ("loss", "scale_learning_rate", "mean_gradient"):
                mean = sum(step[key][bits] for step in part) / 3
                assert line["bits"][bits][key] == pytest.approx(mean)


def test_timing_is_recorded_apart(session):
    run_epochs(session)
    for line in records(session, "timing"):
        assert line["train_time_s"] == pytest.approx(3 * line["step_time_s"])
        assert line["evaluate_time_s"] > 0
        assert line["peak_memory_mib"] > 100


def test_steps_of_a_long_run_are_thinned_out(session):
    session.line_interval = 4
    run_epochs(session)
    assert [line["step"] for line in records(session, "steps")] == [0, 4]


def test_a_float_run_says_nothing_of_scales(open_session, tiny_run):
    session = open_session(tiny_run(bitset=(32,)))
    session.directory.open_lines({})
    run_epochs(session)
    line = records(session, "train")[-1]
    assert set(line["bits"]["32"]) == {"loss", "top1", "held_out_loss", "held_out_top1"}
    assert line["scale_gradients"] == {"weight": {}, "activation": {}}
    assert records(session, "steps")[0]["scale_learning_rate"] == {}


def test_training_learns(open_session, tiny_run):
    session = open_session(tiny_run(bitset=(32,), epochs=15, learning_rate=0.02))
    session.directory.open_lines({})
    run_epochs(session)
    lines = records(session, "train")
    assert lines[-1]["bits"]["32"]["loss"] < 0.7 * lines[0]["bits"]["32"]["loss"]


def test_the_model_trains_in_training_mode_only(session, monkeypatch):
    modes = []
    forward = type(session.train_state.model).forward

    def watch(model, x):
        modes.append((model.training, torch.is_grad_enabled()))
        return forward(model, x)

    monkeypatch.setattr(type(session.train_state.model), "forward", watch)
    run_epochs(session)
    assert modes == 2 * (3 * 3 * [(True, True)] + 3 * [(False, False)])


def test_a_loss_that_is_not_finite_in_evaluation_stops(session, monkeypatch):
    losses = {8: 1.0, 4: math.nan}
    scores = {bits: Found({"top1": 10.0, "loss": loss}, 8) for bits, loss in losses.items()}
    monkeypatch.setattr("bitswitch.training.loop.evaluate", lambda *_: scores)
    with pytest.raises(Diverged, match="nan on 'test' at 4 bit after epoch 0"):
        score(session, "test")


def test_an_interruption_saves_first(session, monkeypatch):
    def stop():
        if session.at.step == 2:
            raise Interrupted("now")

    monkeypatch.setattr(session.stop, "check", stop)
    with pytest.raises(Interrupted):
        run_epochs(session)
    assert (session.directory.path / "checkpoint.pt").exists()


class Broken(OpenDataset):
    def size(self, split):
        return 48

    def train_batches(self, batch_size, stream, seed, skip):
        raise ValueError("no images")
        yield


def test_a_dataset_that_fails_is_named(session):
    session.dataset = Broken()
    message = r"^train_batches\(\) of dataset 'digits' fails: ValueError: no images"
    with pytest.raises(PluginError, match=message):
        run_epochs(session)


def test_a_method_that_fails_is_named(session, monkeypatch):
    def fail(*_):
        raise ValueError("no grid")

    layer = next(iter(session.train_state.model.layers.values()))
    monkeypatch.setattr(type(layer.weight_quantizer), "forward", fail)
    with pytest.raises(PluginError, match=r"training step of method 'double-rounding'.*no grid"):
        run_epochs(session)
