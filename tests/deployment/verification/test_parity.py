import pytest
import torch

from bitswitch.contracts.data import Batch
from bitswitch.contracts.task import Task
from bitswitch.deployment.export import export
from bitswitch.deployment.loading import load
from bitswitch.deployment.snapshot import InputGrid
from bitswitch.deployment.verification import ties
from bitswitch.deployment.verification.parity import compare, parity
from bitswitch.errors import SpecError
from bitswitch.results.files import read_lines
from bitswitch.tasks.classification import Classification
from bitswitch.tasks.language_model import LanguageModel, Protocol
from tests.deployment import decoders, exported

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


@pytest.fixture(scope="module")
def decoder():
    """Return a quantized decoder and its integer model."""
    run = decoders.run_of(float_inputs="none")
    model = decoders.quantized(run)
    return model, decoders.integers(model, run)


def windows(count=6):
    tokens = decoders.tokens(count, decoders.CONTEXT + 1)
    return Batch(tokens[:, :-1], tokens[:, 1:], torch.arange(count))


LANGUAGE = LanguageModel(
    Protocol("bytes", "shifted", decoders.CONTEXT, decoders.CONTEXT, "byte", "")
)


def test_every_token_is_a_prediction(decoder):
    model, integers = decoder
    for bits in integers.bitset:
        found = compare(model, integers, [windows()], bits, LANGUAGE)
        assert (found.images, found.predictions) == (6, 6 * decoders.CONTEXT)
        assert (found.unexplained, found.metric) == (0, "perplexity")
        assert found.differing == found.ties
        assert found.headline_integer == pytest.approx(found.headline_trained, rel=0.01)


def test_a_tie_at_one_token_excuses_those_that_follow(decoder, monkeypatch):
    """The value of one code of one window is moved across its boundary, in the first layer."""
    model, integers = decoder
    plain, first = InputGrid.encode, [True]

    def moved(grid, x):
        codes = plain(grid, x)
        if first.pop() if first else False:
            apart = (x[2] / grid.scale - codes[2]).abs()
            apart[codes[2].abs() >= grid.high] = 0
            place = divmod(int(apart[4].argmax()), x.shape[-1])[1]
            codes[2, 4, place] += torch.sign(x[2, 4, place] / grid.scale - codes[2, 4, place])
        return codes

    monkeypatch.setattr(InputGrid, "encode", moved)
    monkeypatch.setattr(ties, "TOLERANCE", 0.25)
    found = compare(model, integers, [windows()], 2, LANGUAGE)
    assert (found.unexplained, found.images_with_ties) == (0, 1)
    assert 0 < found.differing == found.ties <= decoders.CONTEXT - 4


def test_a_wrong_code_of_a_decoder_is_not_explained(decoder):
    model, _ = decoder
    description, tensors = decoders.artifact(model, decoders.run_of(float_inputs="none")).content
    name = "model.layers.0.self_attn.q_proj.weight.codes"
    tensors[name] = tensors[name].clone()
    tensors[name][0] = 127
    wrong = decoders.assembled(description, tensors, "memory")
    found = compare(model, wrong, [windows()], 8, LANGUAGE)
    assert found.unexplained > 0


def test_weights_alone_predict_as_in_training():
    run = decoders.run_of(float_inputs="all", weight_granularity="per-group-16")
    model = decoders.quantized(run)
    found = compare(model, decoders.integers(model, run), [windows()], 2, LANGUAGE)
    assert (found.largest_difference, found.differing, found.accumulators) == (0, 0, {})


def test_a_task_without_rows_of_logits_is_refused(pair):
    with pytest.raises(SpecError, match="Parity needs a task that classifies"):
        compare(*pair, [batch()], 8, Task())
