"""Which test examples were right: kept by every evaluation on the test split."""

import pytest
import torch

from bitswitch.contracts.metric import Found
from bitswitch.errors import PluginError
from bitswitch.results.correct import NAME, read_correct
from bitswitch.results.files import read_json, read_lines
from bitswitch.stages.execution import Execution
from bitswitch.stages.metrics import Lines
from bitswitch.stages.training_job import run_job
from bitswitch.tasks.classification import Classification
from bitswitch.training.clock import Instant
from bitswitch.training.trained import load_trained

TASK = Classification()


@pytest.fixture(scope="module")
def finished(run, tiny_data, tmp_path_factory):
    """Return a run that evaluates with batch norms recalibrated too, and how it was executed."""
    again = run.model_copy(
        update={"training": run.training.model_copy(update={"recalibration": 2})}
    )
    execution = Execution(tmp_path_factory.mktemp("results"), tiny_data, torch.device("cpu"))
    run_job(again, execution, Instant.now())
    return again, execution


def shares(folder):
    """Return the share of right examples in percent, by policy and metric."""
    return {
        (one.policy, one.metric): 100 * int(one.right.sum()) / one.examples
        for one in read_correct(folder)
    }


def reported(folder):
    """Return the top-1 of ``metrics.jsonl`` on the test split, by policy and metric."""
    return {
        (line["policy"], line["metric"]): line["value"]
        for line in read_lines(folder / "metrics.jsonl")
        if line["split"] == "test" and line["metric"].startswith("top1")
    }


def test_the_bits_of_a_run_give_its_top1_to_the_last_digit(finished):
    run, execution = finished
    folder = execution.runs / run.run_id
    assert shares(folder) == reported(folder)
    assert {metric for _, metric in shares(folder)} == {"top1", "top1_recalibrated"}
    assert NAME in read_json(folder / "result.json")["files"]


@pytest.mark.parametrize("batch_size", [7, 40])
def test_their_order_is_that_of_the_test_split_whatever_the_batches(finished, batch_size):
    run, execution = finished
    trained = load_trained(run, execution.runs, execution.data, execution.device, "a test")
    kept = {one.policy: one.right for one in read_correct(execution.runs / run.run_id)[:3]}
    for bits in run.bitset:
        trained.model.switch(bits)
        with torch.no_grad():
            for batch in trained.dataset.batches("test", batch_size):
                right = trained.model(batch.inputs).argmax(1) == batch.targets
                assert kept[str(bits)][batch.indices.numpy()].tolist() == right.tolist()


def test_the_bits_of_a_search_are_of_every_treatment(search):
    retraining = {"epochs": 1, "batch_size": 16, "learning_rate": 1e-3, "weight_decay": 0.0}
    found = search(retraining=retraining)
    assert shares(found.folder) == reported(found.folder)
    assert {metric for _, metric in shares(found.folder)} == {
        "top1",
        "top1_uniform",
        "top1_retrained",
    }
    assert NAME in found.result["files"]


def test_only_the_test_split_is_kept():
    lines, found = Lines(), Found({"top1": 50.0, "loss": 1.0}, 2, correct={"top1": [1, 0]})
    lines.add(TASK, "held_out", {8: found})
    assert (len(lines.metrics), lines.correct) == (2, [])
    lines.add(TASK, "test", {8: found})
    assert [(one.metric, one.examples) for one in lines.correct] == [("top1", 2)]


@pytest.mark.parametrize("correct", [{"top1": [1]}, {"top5": [1, 0]}])
def test_an_evaluator_that_leaves_examples_out_is_named(correct):
    found = Found({"top1": 50.0, "loss": 1.0}, 2, correct=correct)
    with pytest.raises(PluginError, match=r"evaluator of Classification(.|\n)*top1, loss"):
        Lines().add(TASK, "test", {8: found})
