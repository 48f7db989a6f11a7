import pytest
import torch

from bitswitch.contracts.data import Batch
from bitswitch.deployment.export import export
from bitswitch.deployment.loading import load
from bitswitch.deployment.verification.parity import compare, parity
from bitswitch.results.files import read_lines
from bitswitch.tasks.classification import Classification
from tests.deployment import exported

TASK = Classification()


def batch(count=6):
    return Batch(exported.images(count=count), torch.arange(count) % 10, torch.arange(count))


@pytest.fixture(scope="module")
def agreements(trained, tiny_data, tmp_path_factory):
    run, results = trained
    file = tmp_path_factory.mktemp("parity") / "model.safetensors"
    export(run, results / "runs", file)
    return parity(file, run, results / "runs", tiny_data)


def test_the_test_split_is_predicted_as_in_training(agreements, trained):
    run, results = trained
    recorded = {
        line["policy"]: line["value"]
        for line in read_lines(results / "runs" / run.run_id / "metrics.jsonl")
        if (line["metric"], line["split"]) == ("top1", "test")
    }
    assert [a.policy for a in agreements] == list(run.bitset)
    for found in agreements:
        assert (found.images, found.metric) == (40, "top1")
        assert found.unexplained == 0
        assert found.differing == found.ties
        assert found.headline_trained == recorded[str(found.policy)]
        assert abs(found.headline_integer - found.headline_trained) <= 100 * found.ties / 40
        assert max(found.accumulators.values()) < 2**31


def test_policies_and_several_batches(pair):
    model, integers = pair
    policy = dict(zip(integers.layers, (8, 4, 2, 2, 4, 8, 4, 8), strict=True))
    found = compare(model, integers, [batch(), batch(2)], policy, TASK)
    assert (found.images, found.unexplained, found.policy) == (8, 0, policy)
    assert found.headline_trained == found.headline_integer
    assert integers.policy == 8


def test_a_wrong_integer_is_not_explained(pair):
    model, _ = pair
    run = exported.run_of()
    description, tensors = exported.artifact(model, run).content
    name = "stages.0.0.conv2.weight.codes"
    tensors[name] = tensors[name].clone()
    tensors[name][0] = 127
    wrong = exported.assembled(description, tensors, "memory")
    assert compare(model, wrong, [batch()], 8, TASK).unexplained > 0


def test_another_float_layer_is_not_explained(pair):
    model, _ = pair
    description, tensors = exported.artifact(model, exported.run_of()).content
    tensors["fc.weight"] = -tensors["fc.weight"]
    wrong = exported.assembled(description, tensors, "memory")
    found = compare(model, wrong, [batch()], 8, TASK)
    assert found.unexplained == found.differing > found.ties == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_an_accelerator(tmp_path, trained, tiny_data):
    run, results = trained
    file = tmp_path / "model.safetensors"
    export(run, results / "runs", file)
    assert next(iter(load(file, "cuda").net.parameters())).is_cuda
    for found in parity(file, run, results / "runs", tiny_data, "cuda"):
        assert found.unexplained == 0
