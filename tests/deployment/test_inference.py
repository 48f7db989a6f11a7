import json

import pytest
import torch
from PIL import Image

from bitswitch.contracts.data import Dataset
from bitswitch.costs import Costs
from bitswitch.data.digits import Digits
from bitswitch.deployment import inference, latency
from bitswitch.deployment.loading import load
from bitswitch.errors import BitWidthError, DatasetError, LatencyBudgetError, SpecError
from bitswitch.results.policies import PolicyFile, costs_record
from bitswitch.runtime import cache

from . import exported


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    draw = torch.Generator().manual_seed(5)
    folder = tmp_path_factory.mktemp("pictures")
    for name, size in (("a.png", (8, 8)), ("b.png", (20, 13))):
        pixels = torch.randint(256, (size[1], size[0], 3), generator=draw, dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(folder / name)
    return [folder / "a.png", folder / "b.png"]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "FOLDER", tmp_path / "cache")


def expected(file, pictures, policy):
    model = load(file)
    dataset = Digits(Digits.Options(**exported.DATASET["options"]))
    batch = torch.stack([dataset.network_input(Image.open(path)) for path in pictures])
    with model.at(policy):
        return model(batch).softmax(1)


@pytest.mark.parametrize("bits", [4, 2])
def test_both_engines_say_what_the_model_does(bitswitch, file, pictures, bits):
    for engine in ("onnxruntime", "integers"):
        arguments = ("--bits", bits, "--engine", engine, "--top", 10, "--json")
        code, out, _ = bitswitch("infer", file, *pictures, *arguments)
        assert code == 0
        found = json.loads(out)
        assert (found["policy"], found["engine"], found["latency_ms"]) == (bits, engine, None)
        wanted = expected(file, pictures, bits)
        for path, row, image in zip(pictures, wanted, found["images"], strict=True):
            assert image["image"] == str(path)
            shares = [each["probability"] for each in image["classes"]]
            assert shares == sorted(shares, reverse=True)
            given = torch.tensor([each["class"] for each in image["classes"]])
            torch.testing.assert_close(torch.tensor(shares), row[given], rtol=0, atol=0.02)


def test_text_names_the_classes(bitswitch, file, pictures):
    code, out, _ = bitswitch("infer", file, pictures[0], "--top", 1)
    first, second = out.splitlines()
    assert (code, first) == (0, "4 bits, onnxruntime")
    best = int(expected(file, pictures[:1], 4).argmax())
    assert second.startswith(f"{pictures[0]}: class {best} (")


def test_a_policy_file(bitswitch, file, pictures, tmp_path):
    run, layers = load(file).facts.run, dict.fromkeys(load(file).layers, (4, 2))
    costs = costs_record(Costs(*(1.0,) * 6), "float")
    about = {"run": "r", "model": "resnet8", "dataset": "digits", "bitset": (4, 2)}
    policy = PolicyFile(**about, search="hand", budget="none", costs=costs, layers=layers)
    policy.write(tmp_path / "policy.json")
    arguments = ("--policy", tmp_path / "policy.json")
    code, out, _ = bitswitch("infer", file, *pictures, *arguments)
    first, second, *_ = out.splitlines()
    assert (code, first) == (0, "policy of 8 layers, onnxruntime")
    assert second.startswith(f"the policy was found for run r, the model is of run {run}: ")
    code, out, _ = bitswitch("infer", file, *pictures, *arguments, "--json")
    content = json.loads(out)
    assert content["policy"] == {name: [4, 2] for name in layers}
    assert (content["policy_run"], content["run"]) == ("r", run)
    policy.model_copy(update={"run": run}).write(tmp_path / "policy.json")
    _, out, _ = bitswitch("infer", file, *pictures, *arguments)
    assert "was found for" not in out


def test_a_budget_chooses_the_bit_width(bitswitch, file, pictures, monkeypatch):
    monkeypatch.setattr(
        latency,
        "measure",
        lambda *_, **__: [
            latency.Latency(4, 1, 3.0),
            latency.Latency(2, 1, 2.0),
            latency.Latency(32, 1, 9.0),
        ],
    )
    code, out, _ = bitswitch("infer", file, pictures[0], "--budget-ms", 2.5)
    assert (code, out.splitlines()[0]) == (
        0,
        "2 bits, onnxruntime, 2 ms per image here (budget 2.5 ms)",
    )
    assert len(out.splitlines()) == 2
    code, out, _ = bitswitch("infer", file, pictures[0], "--budget-ms", 3, "--json")
    assert json.loads(out)["latency_ms"] == {"4": 3.0, "2": 2.0}
    code, _, err = bitswitch("infer", file, pictures[0], "--budget-ms", 1)
    assert code == LatencyBudgetError.exit_code
    assert "the fastest, 2 bits, takes 2 ms" in err


def test_bit_widths_that_take_the_same_time_are_said_to(bitswitch, file, pictures, monkeypatch):
    times = [latency.Latency(4, 1, 2.05), latency.Latency(2, 1, 2.0)]
    monkeypatch.setattr(latency, "measure", lambda *_, **__: times)
    code, out, _ = bitswitch("infer", file, pictures[0], "--budget-ms", 100)
    assert code == 0
    assert out.splitlines()[0].startswith("4 bits")
    assert "all bit-widths take about the same time" in out.splitlines()[1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("--bits", 3), BitWidthError, "no bit-width 3; the nearest is 4"),
        (("--bits", 4, "--budget-ms", 1), SpecError, "exclude each other"),
        (("--engine", "onnx"), SpecError, "Did you mean 'onnxruntime'?"),
        (("--engine", "integers", "--budget-ms", 1), SpecError, "one of onnxruntime"),
    ],
)
def test_what_does_not_fit_is_told(bitswitch, file, pictures, arguments, error, message):
    code, _, err = bitswitch("infer", file, pictures[0], *arguments)
    assert code == error.exit_code
    assert message in err


def test_what_is_no_picture_is_told(file):
    with pytest.raises(DatasetError, match=r"Damaged image .*\n.*\.png or \.jpg"):
        inference.pictures(load(file).facts, [file])


def test_a_dataset_without_pictures_is_told(file, pictures, monkeypatch):
    monkeypatch.setattr(Digits, "network_input", Dataset.network_input)
    with pytest.raises(SpecError, match=r"'digits' cannot say .*\n.*network_input"):
        inference.pictures(load(file).facts, pictures)
