"""A deployment from its first file to its last."""
# ruff: noqa: F811  (fixtures are arguments)

import pytest

from bitswitch import stages
from bitswitch.deployment import load
from bitswitch.errors import CheckpointError, EncodingError
from bitswitch.results.correct import read_correct
from bitswitch.results.files import read_json, read_lines
from bitswitch.results.result import write_result
from tests.deployment import exported
from tests.deployment.conftest import trained  # noqa: F401  (a fixture)

FILES = {
    *("model.safetensors", "parity.jsonl", "storage.jsonl", "rounding.jsonl", "correct.jsonl"),
    *("provenance.json", "result.json"),
}


@pytest.fixture(scope="module")
def deployed(trained, tiny_data, tmp_path_factory):
    """Return the folder of a deployment and its run."""
    run, results = trained
    place = tmp_path_factory.mktemp("place")
    (place / "runs").symlink_to(results / "runs")
    return stages.deploy(run, place, tiny_data, "cpu"), run


def test_it_leaves_a_model_and_what_was_found(deployed):
    folder, run = deployed
    assert {path.name for path in folder.iterdir()} == FILES
    result = read_json(folder / "result.json")
    assert (result["run_id"], result["status"]) == (run.run_id, "complete")
    assert "code_hash" in read_json(folder / "provenance.json")
    assert load(folder / "model.safetensors").bitset == run.bitset


def test_every_width_agrees_with_training(deployed, tiny_data):
    folder, run = deployed
    lines = read_lines(folder / "parity.jsonl")
    assert [line["bits"] for line in lines] == list(run.bitset)
    trained = read_lines(folder.parents[1] / "runs" / run.run_id / "metrics.jsonl")
    for line in lines:
        assert line["images"] == exported.DATASET["options"]["test"]
        assert line["differing"] == line["ties"]
        assert line["unexplained"] == 0
        assert line["largest_sum"] <= line["possible_sum"] < 2**31
        (top1,) = [
            one["value"]
            for one in trained
            if (one["split"], one["metric"], one["policy"]) == ("test", "top1", str(line["bits"]))
        ]
        assert line["metric"] == "top1"
        assert line["headline_trained"] == top1


def test_it_keeps_which_examples_integers_and_onnxruntime_had_right(deployed):
    folder, run = deployed
    found = {(one.policy, one.metric): one.right for one in read_correct(folder)}
    trained = {
        one.policy: one.right for one in read_correct(folder.parents[1] / "runs" / run.run_id)
    }
    lines = read_lines(folder / "parity.jsonl")
    endings = {"_integer": "differing", "_onnx": "onnx_differing"}
    assert set(found) == {(str(bits), f"top1{one}") for bits in run.bitset for one in endings}
    for line in lines:
        before = trained[str(line["bits"])]
        for ending, differing in endings.items():
            right = found[str(line["bits"]), f"top1{ending}"]
            assert 100 * right.sum() / line["images"] == line[f"headline{ending}"]
            assert (right != before).sum() <= line["differing"] + line[differing]
            before = right


def test_switches_of_the_model_in_memory_are_timed(deployed):
    folder, run = deployed
    times = read_json(folder / "result.json")["switch_s"]
    assert list(times) == [str(bits) for bits in run.bitset]
    assert all(0 < time < 1 for time in times.values())


def test_all_layers_have_rounding_errors_at_all_widths(deployed):
    folder, run = deployed
    lines = read_lines(folder / "rounding.jsonl")
    layers = len({line["layer"] for line in lines})
    assert len(lines) == layers * len(run.bitset) > 0


def test_a_finished_deployment_is_left_alone(deployed, tiny_data):
    folder, run = deployed
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert stages.deploy(run, folder.parents[1], tiny_data, "cpu") == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_diverged_run_leaves_no_model_but_a_result(trained, tiny_data, tmp_path):
    run, results = trained
    folder = tmp_path / "runs" / run.run_id
    folder.mkdir(parents=True)
    for path in (results / "runs" / run.run_id).iterdir():
        (folder / path.name).symlink_to(path)
    outcome = read_json(folder / "result.json") | {"status": "diverged", "diagnosis": "too fast"}
    (folder / "result.json").unlink()
    write_result(folder, outcome, outcome["files"])
    made = stages.deploy(run, tmp_path, tiny_data, "cpu")
    result = read_json(made / "result.json")
    assert result["status"] == "diverged"
    assert "too fast" in result["diagnosis"]
    assert read_lines(made / "parity.jsonl") == []
    assert not (made / "model.safetensors").exists()


def test_what_cannot_be_deployed_is_an_error(tiny_data, tmp_path):
    with pytest.raises(CheckpointError, match="not finished"):
        stages.deploy(exported.run_of(), tmp_path, tiny_data, "cpu")
    with pytest.raises(EncodingError, match="float32 weights"):
        stages.deploy(exported.run_of("double-rounding-unshared"), tmp_path, tiny_data, "cpu")
