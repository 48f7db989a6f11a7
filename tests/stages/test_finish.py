import pytest
import torch

from bitswitch.contracts.metric import Found
from bitswitch.results.files import read_lines, write_lines
from bitswitch.stages.finish import conclude, measured
from bitswitch.training import checkpoint
from bitswitch.training.clock import Clock
from bitswitch.training.session import Progress

HELD_OUT = {str(bits): {"held_out_top1": 50.0 + bits, "held_out_loss": 0.5} for bits in (8, 4, 2)}


def epoch(bits):
    """Return a line of ``train.jsonl``."""
    return {"epoch": 0, "steps": 3, "learning_rate": 0.1, "bits": bits}


@pytest.fixture
def session(open_session, tiny_run):
    session = open_session(tiny_run())
    write_lines(session.directory.path / "train.jsonl", [epoch({}), epoch(HELD_OUT)])
    return session


def scored(monkeypatch, **top1):
    scores = {
        int(bits[1:]): Found({"top1": value, "loss": 0.25}, 1000) for bits, value in top1.items()
    }
    monkeypatch.setattr("bitswitch.stages.finish.score", lambda session, split: scores)


def test_metrics_of_both_splits_are_written(session, monkeypatch):
    scored(monkeypatch, b8=90.0, b4=80.0, b2=70.0)
    assert conclude(session) == ("complete", None)
    lines = read_lines(session.directory.path / "metrics.jsonl")
    assert len(lines) == 12
    assert lines[0] == {
        "split": "held_out",
        "policy": "8",
        "metric": "top1",
        "value": 58.0,
        "unit": "percent",
    }
    assert lines[6]["noise"] == pytest.approx(196 * (0.9 * 0.1 / 1000) ** 0.5)
    assert lines[-1] == {
        "split": "test",
        "policy": "2",
        "metric": "loss",
        "value": 0.25,
        "unit": "nats",
    }


def test_a_bit_width_at_chance_is_a_finding(session, monkeypatch):
    scored(monkeypatch, b8=90.0, b4=80.0, b2=10.0)
    status, diagnosis = conclude(session)
    assert status == "collapsed"
    assert diagnosis == "test accuracy is that of guessing: 2 bit 10.00 %"
    assert len(read_lines(session.directory.path / "metrics.jsonl")) == 12


def test_measurements_tells_shares_of_negative_rates(session):
    at = Progress.start((4, 2))
    at.step, at.negative = 8, {4: 0, 2: 6}
    found = measured(at, session.clock)
    assert found["negative_share"] == {4: 0.0, 2: 0.75}
    assert found["other_time_s"] > 0


def test_measurements_of_a_run_that_never_started(session):
    assert isinstance(session.clock, Clock)
    assert measured(Progress.start((4,)), session.clock)["negative_share"] == {4: 0.0}


def test_a_method_finishes_once_on_training_batches(session, monkeypatch):
    scored(monkeypatch, b8=90.0, b4=80.0, b2=70.0)
    seen = []

    class Finishing(type(session.train_state.method)):
        def finish(self, model, batches):
            first, again = next(batches()), next(batches())
            assert first.inputs.equal(again.inputs)
            seen.append(len(first.targets))
            with torch.no_grad():
                next(model.parameters()).fill_(3.0)

    method = session.train_state.method
    session.train_state.method = Finishing(method.options, method.bitset)
    assert conclude(session)[0] == "complete"
    assert seen == [session.spec.training.batch_size]
    path = session.directory.path / checkpoint.NAME
    state = checkpoint.load(path, session.spec.run_id)
    assert state["progress"]["finished"]
    assert (next(iter(state["model"].values())) == 3.0).all()
    conclude(session)
    assert len(seen) == 1
    held_out = read_lines(session.directory.path / "metrics.jsonl")[0]
    assert held_out["value"] == 90.0


def test_recalibrated_metrics_stand_beside_the_others(open_session, tiny_run):
    session = open_session(tiny_run(recalibration=2))
    write_lines(session.directory.path / "train.jsonl", [epoch(HELD_OUT)])
    before = {name: value.clone() for name, value in session.train_state.model.state_dict().items()}
    conclude(session)
    lines = read_lines(session.directory.path / "metrics.jsonl")
    named = {(line["split"], line["metric"]) for line in lines}
    assert {("test", "top1"), ("test", "top1_recalibrated")} <= named
    assert ("held_out", "top1_recalibrated") not in named
    changed = [
        n for n, v in session.train_state.model.state_dict().items() if not v.equal(before[n])
    ]
    assert changed
    assert all("running" in name or "num_batches" in name for name in changed)
