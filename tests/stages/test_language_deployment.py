"""A decoder from training to a deployed file, through the jobs that do so."""

import pytest
import torch

from bitswitch import stages
from bitswitch.plugins.resolve import resolved
from bitswitch.results.deployments import read_deployment
from bitswitch.results.files import read_lines
from bitswitch.spec.run import RunSpec
from tests.deployment import decoders


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """Return a run of a few steps, the folder of its results, and that of its deployment."""
    results, data = tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("data")
    fields = decoders.run_of(weight_granularity="per-group-16").model_dump(mode="json")
    fields["dataset"]["options"]["epoch_windows"] = 16
    run = resolved(RunSpec.model_validate(fields))
    stages.prepare(run.dataset, data)
    stages.train(run, results, data, "cpu")
    return run, results, stages.deploy(run, results, data, "cpu")


def test_every_byte_is_compared(deployed):
    run, results, folder = deployed
    metrics = read_lines(results / "runs" / run.run_id / "metrics.jsonl")
    evaluated = {
        line["policy"]: line["value"]
        for line in metrics
        if (line["metric"], line["split"]) == ("perplexity", "test")
    }
    for line in read_lines(folder / "parity.jsonl"):
        assert line["metric"] == "perplexity"
        assert (line["images"], line["predictions"]) == (10, 160)
        assert line["unexplained"] == 0
        assert line["headline_trained"] == pytest.approx(evaluated[str(line["bits"])], rel=1e-5)
        assert line["headline_onnx"] == pytest.approx(line["headline_integer"], rel=0.02)
        assert line["onnx_float_kernels"] >= 1


def test_what_is_written_is_read(deployed):
    _, _, folder = deployed
    record = read_deployment(folder)
    assert {line.form for line in record.storage} == {"fp32", "separate", "file", "memory"}
    found = stages.generate(folder / "model.safetensors", "To ", [8, 2], engine="integers")
    assert len(found.tokens) == decoders.CONTEXT + 1 - 3
    assert torch.tensor([one.token for one in found.tokens]).max() < decoders.VOCABULARY
