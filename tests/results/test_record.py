"""Every file of results has one class: what older versions wrote is read, and written the same."""

import json

import pytest

from bitswitch.errors import RecordError
from bitswitch.results.deployments import DeploymentResult, Parity, Rounding, Storage
from bitswitch.results.provenance import Provenance
from bitswitch.results.record import Record, write_lines
from bitswitch.results.records import (
    Epoch,
    Metric,
    Result,
    ScoringResult,
    SearchResult,
    Step,
    Timing,
)

FILES = {
    "metrics": (
        Metric,
        '{"split": "test", "policy": "8", "metric": "top1", "value": 10.0, "unit": "percent"}',
    ),
    "train": (
        Epoch,
        '{"epoch": 0, "steps": 12, "learning_rate": 0.01, "bits": {"8": {"loss": 1.5, "top1": 65.0,'
        ' "scale_learning_rate": 0.0002, "negative_share": 0.0, "mean_gradient": 0.03, '
        '"held_out_loss": 3.25, "held_out_top1": 10.0}, "4": {"held_out_loss": 3.0, '
        '"held_out_top1": 9.0}}, "scale_gradients": {"weight": {"8": {"conv1": {"mean_abs": 0.5, '
        '"std": 0.25, "max_abs": 1.0}}, "4": {}}, "activation": {"8": {}, "4": {}}}}',
    ),
    "train of a float network": (
        Epoch,
        '{"epoch": 0, "steps": 3, "learning_rate": 0.1, "bits": {"32": {"loss": 2.0, "top1": 25.0, '
        '"held_out_loss": 2.5, "held_out_top1": 10.0}}, "scale_gradients": {"weight": {"32": {}}, '
        '"activation": {"32": {}}}}',
    ),
    "steps": (
        Step,
        '{"step": 0, "loss": {"8": 0.5, "2": 2.5}, "scale_learning_rate": {"8": 0.00025, "2": '
        '0.00025}, "mean_gradient": {"8": 0.001, "2": 0.25}}',
    ),
    "timing": (
        Timing,
        '{"epoch": 1, "train_time_s": 14.25, "evaluate_time_s": 0.5, "step_time_s": 1.125, '
        '"peak_memory_mib": 735.0625}',
    ),
    "result of a run": (
        Result,
        '{"run_id": "a", "status": "collapsed", "diagnosis": "guessing", "parameters": 2236682, '
        '"steps": 24, "epochs": 2, "train_time_s": 28.5, "time_kind": "cpu", "evaluate_time_s": '
        '2.25, "other_time_s": 2.0, "wall_time_s": 33.5, "peak_memory_mib": 805.5, "reflections": '
        '196, "negative_share": {"8": 0.0, "2": 0.5}, "threads": 1, "device_name": "AMD EPYC"}',
    ),
    "result of a sensitivity": (
        ScoringResult,
        '{"identifier": "h", "status": "complete", "diagnosis": null, "time_s": 2.5, "time_kind": '
        '"cpu", "wall_time_s": 4.25, "peak_memory_mib": 671.5, "facts": {"probes": 11, '
        '"largest_relative_error": 0.018}}',
    ),
    "result of a search": (
        SearchResult,
        '{"status": "complete", "diagnosis": null, "budgets": {"a": {"limit": 4.0, "cost": 3.5, '
        '"objective": 10.5, "candidates": 4, "evaluations": 4, "search_time_s": 1.25, '
        '"retraining_epochs": 1, "retraining_time_s": 0.5, "uniform_bits": 4, "uniform_cost": 4.0}'
        ', "b": {"limit": 2.0, "cost": 2.0, "objective": null, "candidates": 1, "evaluations": 0, '
        '"search_time_s": 0.5, "retraining_epochs": 0, "retraining_time_s": 0.0}}, "infeasible": '
        '{"c": "No policy"}, "identifier": "s", "time_kind": "cpu", "wall_time_s": 6.0, '
        '"peak_memory_mib": 574.5}',
    ),
    "result of a deployment": (
        DeploymentResult,
        '{"run_id": "a", "status": "complete", "diagnosis": null, "time_s": 23.0, "time_kind": '
        '"cpu", "wall_time_s": 25.5, "peak_memory_mib": 647.5}',
    ),
    "provenance": (
        Provenance,
        '{"bitswitch_version": "0.1.0", "commit": null, "commit_unknown": "no git", "code_hash": '
        '"b0381ef1b95ec48d", "plugin_hashes": {"p": "1"}, "python": "3.11.7", "torch": "2.15.0", '
        '"torchvision": "0.29.2", "device": "cpu", "device_name": "AMD EPYC", "threads": 1, '
        '"platform": "Linux", "started": "2026-11-28T19:37:37+00:00", "finished": null}',
    ),
    "provenance of what never began": (
        Provenance,
        '{"finished": "2026-11-28T19:37:37+00:00"}',
    ),
    "parity": (
        Parity,
        '{"bits": 8, "images": 1000, "metric": "top1", "headline_trained": 88.5, '
        '"headline_integer": 88.5, "largest_difference": 0.035, "differing": 0, "ties": 0, '
        '"images_with_ties": 169, "unexplained": 0, "largest_sum": 952972, '
        '"possible_sum": 6188595, "headline_onnx": 88.4, "onnx_difference": 0.0477, '
        '"onnx_differing": 1, "onnx_integer_kernels": 9, "onnx_float_kernels": 13}',
    ),
    "parity without onnxruntime": (
        Parity,
        '{"bits": 2, "images": 1, "metric": "mae", "headline_trained": 0.0, "headline_integer": '
        '0.0, "largest_difference": 0.0, "differing": 0, "ties": 0, '
        '"images_with_ties": 0, "unexplained": 0, "largest_sum": 1, "possible_sum": 2, "no_onnx": '
        '"it has attention"}',
    ),
    "storage": (
        Storage,
        '{"form": "fp32", "bits": null, "quantized": 1079296, "rest": 15488}',
    ),
    "rounding": (
        Rounding,
        '{"position": 0, "layer": "conv1", "bits": 8, "weights": 2304, "signal": 33.875, '
        '"clipping": 0.0276, "rounding": 0.00106, "rounding_single": 0.00106, "differing": 0}',
    ),
}


@pytest.mark.parametrize(("kind", "text"), FILES.values(), ids=FILES)
def test_what_was_written_is_read_and_written_the_same(kind, text):
    assert json.dumps(kind.of(json.loads(text), "here").content()) == text


def test_parity_of_older_versions_is_that_of_accuracy():
    text = FILES["parity"][1].replace("headline_", "top1_").replace('"metric": "top1", ', "")
    assert json.dumps(Parity.of(json.loads(text), "here").content()) == FILES["parity"][1]


class Line(Record):
    number: int
    remark: str = "none"


def test_records_come_back_as_they_were_given(tmp_path):
    lines = [Line(number=1), Line(number=2, remark="none")]
    write_lines(tmp_path / "lines.jsonl", lines)
    content = (tmp_path / "lines.jsonl").read_text()
    assert content == '{"number": 1}\n{"number": 2, "remark": "none"}\n'
    assert Line.read_lines(tmp_path / "lines.jsonl") == lines
    lines[1].write(tmp_path / "one.json")
    assert Line.read(tmp_path / "one.json") == lines[1]


def test_keys_of_other_versions_are_left_alone():
    assert Line.of({"number": 1, "new": 2}, "here") == Line(number=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"number": 1}\n{"number": "x"}\n', r"lines\.jsonl, line 2: no line record \('number': "),
        ('{"remark": "x"}\n', r"line 1: no line record \('number': Field required\)"),
        ("[1]\n", "expected an object"),
    ],
)
def test_what_is_no_record_is_named_with_its_place(tmp_path, content, message):
    (tmp_path / "lines.jsonl").write_text(content)
    with pytest.raises(RecordError, match=message):
        Line.read_lines(tmp_path / "lines.jsonl")
