"""A run from its first file to its last: interrupted anywhere, it ends with the same numbers."""

import shutil

import pytest
import torch

from bitswitch.data.digits import Digits
from bitswitch.errors import CheckpointError, Interrupted, PluginError, RecordError
from bitswitch.results.files import read_json, read_lines
from bitswitch.results.result import write_result
from bitswitch.spec.run import RunSpec
from bitswitch.stages.execution import Execution
from bitswitch.stages.training_job import run_job
from bitswitch.training import checkpoint, energy, loop
from bitswitch.training.clock import Instant
from bitswitch.training.interruption import StopRequest
from bitswitch.training.state import TrainState

DETERMINISTIC = ("metrics.jsonl", "correct.jsonl", "train.jsonl", "steps.jsonl")


@pytest.fixture
def work(tmp_path, tiny_data):
    """Return a function that runs a job in a results folder and returns the run directory."""

    def work(run, name="results", **changes):
        changes = {"device": torch.device("cpu"), **changes}
        execution = Execution(tmp_path / name, tiny_data, **changes)
        run_job(run, execution, Instant.now())
        return tmp_path / name / "runs" / run.run_id

    return work


@pytest.fixture
def interrupt(monkeypatch):
    """Return a function that makes every job stop at its nth safe place."""

    def every(places):
        countdown = {}

        def check(stop):
            left = countdown.setdefault(id(stop), [stop, places])
            left[1] -= 1
            if left[1] < 0:
                raise Interrupted("now")

        monkeypatch.setattr(StopRequest, "check", check)

    return every


def content(folder):
    return {name: (folder / name).read_bytes() for name in DETERMINISTIC}


RECIPES = {
    "separate": {},
    "conventional": {"update": "conventional", "alrs": None, "optimizer": "sgd"},
    "ps-kd": {"distillation": "ps-kd"},
    "neighbour": {"distillation": "neighbour", "optimizer": "sgd"},
    "float": {"bitset": (32,)},
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_interrupted_run_ends_with_identical_numbers(work, tiny_run, interrupt, recipe):
    run = tiny_run(**RECIPES[recipe])
    expected = content(work(run, "at-once"))
    interrupt(2)
    stops = 0
    while True:
        try:
            folder = work(run, "in-parts")
            break
        except Interrupted:
            stops += 1
    assert stops >= 4
    assert content(folder) == expected


def test_an_interrupted_run_has_the_energy_of_all_its_parts(work, tiny_run, interrupt, monkeypatch):
    class Counter:
        source = "GPU"

        def read(self):
            return 1.0

        def is_shared(self):
            return False

    monkeypatch.setattr(energy, "meter_of", lambda device: Counter())
    run = tiny_run()
    at_once = read_json(work(run, "at-once") / "result.json")
    assert 0 < at_once["train_energy_j"] < at_once["energy_j"]
    interrupt(4)
    with pytest.raises(Interrupted):
        work(run, "in-parts")
    interrupt(1000)
    in_parts = read_json(work(run, "in-parts") / "result.json")
    assert in_parts["train_energy_j"] > at_once["train_energy_j"]
    assert (in_parts["energy_source"], in_parts["energy_shared"]) == ("GPU", False)


@pytest.mark.parametrize("recipe", ["separate", "ps-kd"])
def test_a_killed_run_repeats_what_came_after_its_checkpoint(
    work, tiny_run, interrupt, tmp_path, recipe
):
    run = tiny_run(**RECIPES[recipe])
    expected = content(work(run, "at-once"))
    interrupt(6)
    with pytest.raises(Interrupted):
        work(run, "killed")
    saved = (tmp_path / "killed" / "runs" / run.run_id / checkpoint.NAME).read_bytes()
    interrupt(1)
    with pytest.raises(Interrupted):
        work(run, "killed")
    folder = tmp_path / "killed" / "runs" / run.run_id
    # What a kill leaves: an older checkpoint, records that are ahead of it, a torn last line.
    (folder / checkpoint.NAME).write_bytes(saved)
    with (folder / "train.jsonl").open("a") as file:
        file.write('{"epoch": 1, "st')
    interrupt(1000)
    assert content(work(run, "killed")) == expected


def test_a_run_killed_before_its_first_checkpoint_starts_over(work, tiny_run, tmp_path):
    run = tiny_run()
    folder = tmp_path / "killed" / "runs" / run.run_id
    folder.mkdir(parents=True)
    (folder / "steps.jsonl").write_text('{"step": 0}\n{"st')
    assert content(work(run, "killed")) == content(work(run, "at-once"))


def test_saving_often_changes_nothing(work, tiny_run):
    run = tiny_run()
    often = work(run, "often", save_interval_s=0.0)
    assert content(often) == content(work(run, "rarely"))


def test_results_lost_after_training_are_made_again_without_training(work, tiny_run, interrupt):
    run = tiny_run()
    folder = work(run)
    expected = content(folder)
    (folder / "metrics.jsonl").unlink()
    (folder / "result.json").unlink()
    interrupt(1)
    assert content(work(run)) == expected
    assert read_json(folder / "result.json")["steps"] == 6


def test_a_finished_run_has_all_its_files(work, tiny_run, monkeypatch):
    monkeypatch.setattr(Digits, "provenance", lambda self, root: {"checksum": "c"})
    run = tiny_run()
    folder = work(run)
    result = read_json(folder / "result.json")
    assert result["run_id"] == run.run_id
    assert result["status"] in ("complete", "collapsed")
    assert (result["steps"], result["epochs"], result["time_kind"]) == (6, 2, "cpu")
    assert result["parameters"] == 77850
    assert result["negative_share"] == {"8": 0.0, "4": 0.0, "2": 0.0}
    assert result["train_time_s"] > 0
    provenance = read_json(folder / "provenance.json")
    assert provenance["finished"] >= provenance["started"]
    assert provenance["data"] == {"checksum": "c"}
    assert RunSpec.model_validate(_yaml(folder / "spec.yaml")) == run
    progress = read_json(folder / "progress.json")
    assert (progress["epoch"], progress["step"]) == (2, 6)
    assert "optimizers" not in checkpoint.load(folder / checkpoint.NAME, run.run_id)


def _yaml(path):
    import yaml

    return yaml.safe_load(path.read_text())


def test_time_goes_on_after_an_interruption(work, tiny_run, interrupt, tmp_path):
    run = tiny_run()
    interrupt(4)
    with pytest.raises(Interrupted):
        work(run)
    path = tmp_path / "results" / "runs" / run.run_id / checkpoint.NAME
    before = checkpoint.load(path, run.run_id)["clock"]
    interrupt(1000)
    result = read_json(work(run) / "result.json")
    assert result["train_time_s"] > before["train"] > 0
    assert result["wall_time_s"] > before["wall"]


def test_a_joint_run_starts_from_its_full_precision_run(work, tiny_run):
    start = tiny_run(bitset=(32,))
    alone = tiny_run()
    joint = alone.model_copy(update={"start": start})
    assert joint.run_id != alone.run_id
    work(start)
    assert content(work(joint)) != content(work(alone))


def test_a_start_that_is_not_finished_is_named(work, tiny_run, interrupt):
    start = tiny_run(bitset=(32,))
    joint = tiny_run().model_copy(update={"start": start})
    message = rf"starts from .* '{start.run_id}', which is not finished"
    with pytest.raises(CheckpointError, match=message):
        work(joint)
    interrupt(4)
    with pytest.raises(Interrupted):
        work(start)
    with pytest.raises(CheckpointError, match=message):
        work(joint)


def test_a_start_that_diverged_is_passed_on_as_a_finding(work, tiny_run):
    start = tiny_run(bitset=(32,))
    folder = work(start)
    outcome = read_json(folder / "result.json")
    write_result(folder, {**outcome, "status": "diverged", "diagnosis": "nan"}, outcome["files"])
    folder = work(tiny_run().model_copy(update={"start": start}))
    result = read_json(folder / "result.json")
    assert result["status"] == "diverged"
    assert result["diagnosis"] == f"its start {start.run_id} diverged: nan"
    assert (result["steps"], result["parameters"]) == (0, None)
    assert read_lines(folder / "train.jsonl") == read_lines(folder / "metrics.jsonl") == []


def test_a_run_that_diverges_ends_with_a_diagnosis(work, tiny_run):
    folder = work(tiny_run(learning_rate=1.0, alrs={"variant": "literal"}, scale_guard="stop"))
    result = read_json(folder / "result.json")
    assert result["status"] == "diverged"
    assert "step" in result["diagnosis"]
    assert read_lines(folder / "metrics.jsonl") == []


def test_a_checkpoint_of_another_run_is_refused(work, tiny_run, tmp_path):
    other, run = tiny_run(seed=1), tiny_run(seed=0)
    folder = tmp_path / "results" / "runs" / run.run_id
    folder.mkdir(parents=True)
    shutil.copy(work(other) / checkpoint.NAME, folder)
    with pytest.raises(CheckpointError, match=f"is of run '{other.run_id}', not '{run.run_id}'"):
        work(run)


def test_a_truncated_checkpoint_stops_and_is_kept(work, tiny_run, interrupt, tmp_path):
    run = tiny_run()
    interrupt(2)
    with pytest.raises(Interrupted):
        work(run)
    path = tmp_path / "results" / "runs" / run.run_id / checkpoint.NAME
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(half)
    with pytest.raises(CheckpointError, match="To start the run over, delete that file"):
        work(run)
    assert path.read_bytes() == half
    path.unlink()
    interrupt(1000)
    assert read_json(work(run) / "result.json")["steps"] == 6


def test_shortened_records_stop_the_run(work, tiny_run, interrupt, tmp_path):
    run = tiny_run()
    interrupt(2)
    with pytest.raises(Interrupted):
        work(run)
    (tmp_path / "results" / "runs" / run.run_id / "steps.jsonl").write_text("")
    with pytest.raises(RecordError, match=r"steps.jsonl has 0 bytes where the checkpoint counts"):
        work(run)


@pytest.mark.parametrize("name", ["steps.jsonl", "train.jsonl"])
def test_changed_records_stop_the_run(work, tiny_run, interrupt, tmp_path, name):
    run = tiny_run()
    interrupt(5)
    with pytest.raises(Interrupted):
        work(run)
    path = tmp_path / "results" / "runs" / run.run_id / name
    text = path.read_text()
    path.write_text(text.replace("1", "2", 1))
    with pytest.raises(RecordError, match=f"{name} does not say what was written there"):
        work(run)
    path.write_text(text)
    interrupt(1000)
    assert read_json(work(run) / "result.json")["status"] in ("complete", "collapsed")


def test_a_checkpoint_without_marks_is_of_an_earlier_version(work, tiny_run, interrupt, tmp_path):
    run = tiny_run()
    interrupt(2)
    with pytest.raises(Interrupted):
        work(run)
    path = tmp_path / "results" / "runs" / run.run_id / checkpoint.NAME
    state = checkpoint.load(path, run.run_id)
    state["sizes"] = {name: size for name, (size, _) in state.pop("lines").items()}
    checkpoint.save(path, run.run_id, state)
    with pytest.raises(CheckpointError, match=r"an earlier version of bitswitch.\n.*rm '"):
        work(run)


def test_other_code_that_continues_a_run_is_recorded(work, tiny_run, interrupt, monkeypatch):
    run = tiny_run()
    interrupt(2)
    with pytest.raises(Interrupted):
        work(run)
    monkeypatch.setattr("bitswitch.results.provenance.code_hash", lambda *_: "other")
    interrupt(1000)
    code = read_json(work(run) / "provenance.json")["code_hash"]
    assert code.endswith("+other")


def test_a_plugin_that_fails_leaves_the_checkpoint(work, tiny_run, monkeypatch, tmp_path):
    run = tiny_run()
    with monkeypatch.context() as patch:
        patch.setattr("bitswitch.training.loop.queue_step", _fail_at(4))
        with pytest.raises(PluginError, match="method 'double-rounding' on model 'resnet8' fails"):
            work(run, "broken", save_interval_s=0.0)
    path = tmp_path / "broken" / "runs" / run.run_id / checkpoint.NAME
    assert checkpoint.load(path, run.run_id)["progress"]["step"] == 4
    assert content(work(run, "broken")) == content(work(run, "at-once"))


@pytest.fixture
def late(monkeypatch):
    """Let runs read what steps find as on an accelerator: every so many steps."""
    made = TrainState.of

    def of(*args):
        train_state = made(*args)
        train_state.reads_at_once = False
        return train_state

    monkeypatch.setattr(TrainState, "of", of)
    monkeypatch.setattr(loop, "STEPS", 2)


def test_a_run_that_reads_late_writes_the_same(work, tiny_run, interrupt, request):
    run = tiny_run(**RECIPES["conventional"], distillation="ps-kd")
    expected = content(work(run, "at-once"))
    request.getfixturevalue("late")
    interrupt(4)
    with pytest.raises(Interrupted):
        work(run, "late")
    interrupt(1000)
    assert content(work(run, "late")) == expected


def _broken_from(wanted):
    from bitswitch.training.step import queue_step

    def step(train_state, batch, rate, step_info, receive):
        if step_info.step >= wanted:
            batch = batch._replace(inputs=batch.inputs * float("nan"))
        if step_info.step > wanted:
            raise ValueError("by mistake")
        queue_step(train_state, batch, rate, step_info, receive)

    return step


@pytest.mark.parametrize("wanted", [4, 5])
def test_a_run_that_diverges_unread_ends_as_at_once(work, tiny_run, monkeypatch, request, wanted):
    """Read after step 5: by then another step has failed, or none has followed."""
    run = tiny_run(**RECIPES["conventional"])
    monkeypatch.setattr("bitswitch.training.loop.queue_step", _broken_from(wanted))
    expected = work(run, "at-once")
    request.getfixturevalue("late")
    folder = work(run, "late")
    assert content(folder) == content(expected)
    results = [read_json(one / "result.json") for one in (expected, folder)]
    for key in ("status", "diagnosis", "steps", "epochs"):
        assert results[0][key] == results[1][key]
    assert results[1]["diagnosis"] == f"the loss is nan at 8 bit in step {wanted}"
    state = checkpoint.load(folder / checkpoint.NAME, run.run_id)
    assert state["progress"]["step"] == 3
    assert all(bool(value.isfinite().all()) for value in state["model"].values())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_on_a_gpu_goes_on_after_an_interruption(work, tiny_run, interrupt, recipe):
    run, device = tiny_run(**RECIPES[recipe]), torch.device("cuda")
    interrupt(4)
    with pytest.raises(Interrupted):
        work(run, device=device)
    interrupt(1000)
    result = read_json(work(run, device=device) / "result.json")
    assert (result["steps"], result["time_kind"]) == (6, "wall")
    assert 0 < result["peak_memory_mib"] < 2000


def _fail_at(wanted):
    from bitswitch.training.step import queue_step

    def step(train_state, batch, rate, step_info, receive):
        if step_info.step == wanted:
            raise ValueError("by mistake")
        queue_step(train_state, batch, rate, step_info, receive)

    return step
