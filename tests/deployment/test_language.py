"""Deployed language models: texts are scored and continued."""

import json

import pytest
import torch

from bitswitch import stages
from bitswitch.deployment import container
from bitswitch.deployment.generation import ExactReader, drawn, generated, most_likely
from bitswitch.deployment.layers import IntegerLayer
from bitswitch.deployment.loading import load
from bitswitch.deployment.onnx import blocks
from bitswitch.deployment.text import score
from bitswitch.errors import BitWidthError, DatasetError, SpecError
from bitswitch.tasks.language_model import LanguageModel
from bitswitch.training.build import Parts
from tests.deployment import decoders, exported

PROMPT = "To be or "
WIDTHS = (8, 4, 2)


def written(run, path):
    path.write_bytes(container.encoded(*decoders.artifact(decoders.quantized(run), run).content))
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Return a decoder with quantized inputs, some of which stay float; not to be changed."""
    run = decoders.run_of(weight_granularity="per-channel")
    return written(run, tmp_path_factory.mktemp("decoder") / "model.safetensors")


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("Out, out, brief candle! Life's but a walking shadow.\n")
    return path


def tokens_of(text):
    return torch.tensor(list(text.encode()))


def test_bits_per_byte_are_those_of_every_predicted_byte(file, text):
    """Windows follow each other, the last one is short, the first byte is not predicted."""
    model, ids, context = load(file), tokens_of(text.read_text()), decoders.CONTEXT
    found = score(file, text, (), exactly=True, threads=1)
    assert [one.policy for one in found.scores] == list(WIDTHS)
    for one in found.scores:
        total = 0.0
        for start in range(0, len(ids) - 1, context):
            window, following = ids[start : start + context], ids[start + 1 : start + context + 1]
            with model.at(one.policy):
                shares = model(window[: len(following)][None])[0].double().log_softmax(-1)
            total -= float(shares.gather(1, following[:, None]).sum())
        bits = total / torch.log(torch.tensor(2.0)).item() / (len(ids) - 1)
        assert one.values["bits_per_byte"] == pytest.approx(bits, rel=1e-5)
    assert "shifted windows, context 16" in found.protocol
    assert found.protocol.endswith("text text.txt")


def test_the_split_is_scored_as_in_evaluation(tmp_path):
    """A file with the text of the test split has the perplexity that evaluation gives."""
    run = decoders.run_of(float_inputs="all")
    model, parts = decoders.quantized(run), Parts.of(run)
    file, split = written(run, tmp_path / "model.safetensors"), tmp_path / "split.txt"
    split.write_bytes(bytes(parts.dataset.tokens()["test"]))
    task, opened = (
        parts.dataset.task,
        parts.dataset._windows(parts.dataset.tokens(), torch.device("cpu")),
    )
    for one in stages.score_text(file, split, engine="integers").scores:
        judge = task.evaluator()
        with torch.no_grad(), model.at(one.policy):
            for batch in opened.batches("test", 64):
                judge.add(model(batch.inputs), batch.targets)
        assert judge.result().values == pytest.approx(dict(one.values), rel=1e-5)
    assert isinstance(task, LanguageModel)


def test_onnxruntime_scores_as_the_exact_reference(bitswitch, file, text, monkeypatch):
    monkeypatch.setattr(blocks, "ACCURACY_LEVEL", 0)
    tables = []
    for engine in ("onnxruntime", "integers"):
        code, out, _ = bitswitch("infer", file, "--text", text, "--engine", engine, "--json")
        assert code == 0
        tables.append(json.loads(out))
    first, second = (table["scores"] for table in tables)
    for one, other in zip(first, second, strict=True):
        assert one["bits_per_byte"] == pytest.approx(other["bits_per_byte"], rel=0.02)
    code, out, _ = bitswitch("infer", file, "--text", text, "--bits", 4, "--engine", "integers")
    lines = out.splitlines()
    assert (code, len(lines)) == (0, 2)
    assert lines[0].startswith("integers; tokenizer bytes; bos none; shifted windows")
    bits = f"{second[1]['bits_per_byte']:.4f}"
    assert lines[1].startswith(f"4 bits: {bits} bits per byte, perplexity ")


def uncached(model, prompt, count, widths):
    """Return greedy tokens; all are read anew for each, every layer at each token's bit-width."""
    tokens, bits, found = list(prompt), [widths[0]] * len(prompt), []
    plain = IntegerLayer.forward

    def mixed(layer, x):
        rows = []
        for one in dict.fromkeys(bits):
            with model.at(one), pytest.MonkeyPatch.context() as patch:
                patch.setattr(IntegerLayer, "forward", plain)
                request = model._current
                from bitswitch.deployment.snapshot import REQUEST, Request

                token = REQUEST.set(Request(request))
                rows.append(plain(layer, x))
                REQUEST.reset(token)
        picked = [list(dict.fromkeys(bits)).index(one) for one in bits]
        return torch.stack([rows[which][:, place] for place, which in enumerate(picked)], 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IntegerLayer, "forward", mixed)
        for place in range(count):
            token = int(model(torch.tensor([tokens]))[0, -1].argmax())
            found.append(token)
            tokens.append(token)
            bits.append(widths[(place + 1) % len(widths)])
    return found


@pytest.mark.parametrize("widths", [(8,), (2,), (8, 4), (2, 8, 4)])
def test_a_cache_changes_nothing(file, widths):
    model, prompt = load(file), tokens_of(PROMPT[:6])
    found = list(generated(ExactReader(model), prompt, 10, widths, most_likely))
    assert [one.token for one in found] == uncached(model, prompt.tolist(), 10, widths)
    assert [one.bits for one in found] == [widths[place % len(widths)] for place in range(10)]
    if len(widths) == 1:
        anew = generated(ExactReader(model, cached=False), prompt, 10, widths, most_likely)
        assert list(anew) == found


def test_onnxruntime_continues_as_the_exact_reference(bitswitch, file, monkeypatch):
    monkeypatch.setattr(blocks, "ACCURACY_LEVEL", 0)
    found = []
    for engine in ("onnxruntime", "integers"):
        arguments = ("--prompt", PROMPT, "--bits", "8,4", "--tokens", 7, "--engine", engine)
        code, out, _ = bitswitch("generate", file, *arguments, "--json")
        assert code == 0
        found.append(json.loads(out))
    assert found[0] == {**found[1], "engine": "onnxruntime"}
    assert [one["bits"] for one in found[0]["tokens"]] == [8, 4, 8, 4, 8, 4, 8]
    text = bytes(one["token"] for one in found[0]["tokens"]).decode(errors="replace")
    assert (found[0]["prompt"], found[0]["text"]) == (PROMPT, text)
    code, out, _ = bitswitch("generate", file, *arguments)
    assert out == f"{PROMPT}{text}\n"


def test_tokens_are_drawn_by_their_probability():
    logits = torch.tensor([0.0, 1.0, 3.0])
    pick = drawn(2.0, seed=0)
    counts = torch.bincount(torch.tensor([pick(logits) for _ in range(2000)])) / 2000
    torch.testing.assert_close(counts, (logits / 2).softmax(0), rtol=0, atol=0.05)
    assert [drawn(2.0, 1)(logits) for _ in "ab"] == [drawn(2.0, 1)(logits) for _ in "ab"]
    assert drawn(0.0, 0)(logits) == 2


def test_text_is_as_long_as_the_context_has_room_for(file):
    found = stages.generate(file, PROMPT, engine="integers")
    assert len(found.tokens) == decoders.CONTEXT + 1 - len(PROMPT)
    assert {one.bits for one in found.tokens} == {8}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prompt": ""}, "The prompt is empty"),
        (
            {"prompt": "a" * 17},
            r"The prompt has 17 bytes, the context of the network 16\.\n.*1 byte",
        ),
        ({"prompt": "a" * 10, "tokens": 8}, r"8 bytes after a prompt of 10 do not fit.*\n  Take 7"),
        ({"engine": "onnx"}, "There is no engine 'onnx'. Did you mean 'onnxruntime'"),
    ],
)
def test_what_cannot_be_continued(file, arguments, words):
    with pytest.raises(SpecError, match=words):
        stages.generate(file, **({"prompt": PROMPT} | arguments))


def test_unknown_bit_widths(bitswitch, file, text):
    with pytest.raises(BitWidthError, match=r"no bit-width 6;.*\n.*8,4,2"):
        stages.generate(file, PROMPT, [8, 6])
    with pytest.raises(BitWidthError, match=r"no bit-width 6;.*\n.*8,4,2"):
        stages.score_text(file, text, 6)
    code, _, err = bitswitch("generate", file, "--prompt", PROMPT, "--bits", "8,x")
    assert (code, "'x' is none" in err) == (2, True)


def test_texts_that_cannot_be_scored(bitswitch, file, tmp_path, text):
    short, latin = tmp_path / "short.txt", tmp_path / "latin.txt"
    short.write_text("a")
    latin.write_bytes(b"r\xe9sum\xe9")
    with pytest.raises(SpecError, match="too short: it has 1 bytes"):
        stages.score_text(file, short)
    with pytest.raises(DatasetError, match="not UTF-8"):
        stages.score_text(file, latin)
    for arguments in ((), (text, "--text", text), ("--text", text, "--budget-ms", 5)):
        code, _, err = bitswitch("infer", file, *arguments)
        assert (code, err.startswith("error: ")) == (2, True)


def test_tokens_that_the_network_does_not_know(tmp_path, text):
    run = decoders.run_of(float_inputs="all")
    content, tensors = decoders.artifact(decoders.quantized(run), run).content
    content["classes"], content["output"]["shape"] = 100, [decoders.CONTEXT, 100]
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = tensors[name][:100]
    path = tmp_path / "model.safetensors"
    path.write_bytes(container.encoded(content, tensors))
    for wrong in (lambda: stages.score_text(path, text), lambda: stages.generate(path, "to")):
        with pytest.raises(DatasetError, match="is out of range: the vocabulary has 100"):
            wrong()


def test_a_model_of_images_reads_no_text(tmp_path, text):
    run = exported.run_of(bitset=(4, 2))
    path = tmp_path / "model.safetensors"
    path.write_bytes(container.encoded(*exported.artifact(exported.quantized(run), run).content))
    for wrong in (lambda: stages.score_text(path, text), lambda: stages.generate(path, "to")):
        with pytest.raises(SpecError, match="'digits' has other examples"):
            wrong()
