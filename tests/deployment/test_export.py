import sys

import pytest
import torch

from bitswitch.cli import app as cli
from bitswitch.contracts.data import Batch
from bitswitch.deployment.export import artifact_of, export, refuse, verify
from bitswitch.deployment.loading import load
from bitswitch.errors import ArtifactError, CheckpointError, EncodingError
from bitswitch.quant.quantizer import Width
from bitswitch.training.build import Parts
from bitswitch.training.trained import eager_parts, trained_model

from . import exported


@pytest.fixture(scope="module")
def file(trained, tmp_path_factory):
    run, results = trained
    path = tmp_path_factory.mktemp("export") / "model.safetensors"
    export(run, results / "runs", path)
    return path


def test_every_weight_of_a_trained_run_at_every_bit_width(file, trained):
    run, results = trained
    model = trained_model(run, eager_parts(run), results / "runs", torch.device("cpu"), "test")
    integers = load(file)
    for bits in run.bitset:
        integers.switch(bits)
        for name, operands in integers.snapshot(bits).layers.items():
            layer = model.layers[name]
            width = Width.of(bits, run.bitset)
            trained_weight = layer.weight_quantizer(layer.weight, width).detach()
            codes = layer.weight_quantizer.encode(layer.weight, width).values
            assert torch.equal(operands.codes.int(), codes)
            assert torch.equal(operands.weight(), trained_weight)


def test_the_file_is_small_and_the_same_every_time(file, trained, tmp_path):
    run, results = trained
    again = tmp_path / "again.safetensors"
    export(run, results / "runs", again)
    assert again.read_bytes() == file.read_bytes()
    weights = sum(t.numel() for t in load(file).net.state_dict().values() if t.dtype == torch.int8)
    assert weights < file.stat().st_size < 1.3 * weights


def test_narrow_bit_sets_are_packed():
    run = exported.run_of(bitset=(3, 2))
    tensors = exported.artifact(exported.quantized(run), run).tensors
    codes = [t for name, t in tensors.items() if name.endswith(".codes")]
    assert {t.dtype for t in codes} == {torch.uint8}
    assert codes[0].numel() == 16 * 16 * 9 * 3 // 8


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("lsq", "'lsq' as it was set needs float32.*\n.*Integers are enough for: .*double-round"),
        ("mbquant", "'mbquant' changes the network itself"),
    ],
)
def test_methods_that_cannot_are_refused(method, message):
    with pytest.raises(EncodingError, match=message):
        refuse(exported.run_of(method))


def test_methods_that_are_recommended_can_be_exported():
    with pytest.raises(EncodingError) as refusal:
        refuse(exported.run_of("mbquant"))
    able = str(refusal.value).partition("enough for: ")[2].split(", ")
    assert "double-rounding" in able
    for name in able:
        refuse(exported.run_of(name))


@pytest.mark.parametrize(
    ("method", "options", "rule"),
    [
        ("matquant", {}, "half-up"),
        ("matquant", {"base": "learned-clip", "weight_granularity": "per-group-8"}, "half-up"),
        ("matquant", {"clamp": False}, "half-up-extra"),
        ("matgptq", {"examples": 8}, "half-up"),
        ("double-rounding", {"rounding": "cascade"}, "cascade"),
        ("vertical-layer", {}, "cascade"),
        ("vertical-layer", {"rounding": "shift"}, "floor"),
        ("matgptq", {"examples": 8, "grid": "asymmetric"}, "half-up"),
    ],
)
def test_slices_are_exported_bit_for_bit(method, options, rule):
    run = exported.run_of(method, bitset=(8, 4, 2), **options)
    model = exported.quantized(run)
    inputs = exported.images(count=8)
    batch = Batch(inputs, torch.zeros(8, dtype=torch.int64), torch.arange(8))
    Parts.of(run).method.finish(model, lambda: iter([batch]))
    integers = exported.integers(model, run)
    assert {layer.rounding for layer in integers.facts.layers} == {rule}
    verify(integers, model)
    for bits in run.bitset:
        with integers.at(bits), model.at(bits), torch.no_grad():
            logits = model(inputs)
            apart = (integers(inputs) - logits).abs().mean()  # a code at a tie may flip
            assert apart < 0.02 * logits.std()


def test_a_layer_with_a_hook_is_refused():
    run = exported.run_of("adabits", linear_evaluation="published", first_last_bits=8)
    with pytest.raises(EncodingError, match=r"Layer 'fc' cannot be exported: .* by a hook"):
        exported.artifact(exported.quantized(run), run)


def test_a_weight_that_would_be_another_is_told(pair):
    model, integers = pair
    verify(integers, model)
    layer = model.layers["stages.0.0.conv1"]
    kept = layer.weight_quantizer.scale.data.clone()
    layer.weight_quantizer.scale.data.mul_(1.5)
    try:
        with pytest.raises(EncodingError, match=r"conv1' cannot be exported: at 8 bits, \d+ of"):
            verify(integers, model)
    finally:
        layer.weight_quantizer.scale.data.copy_(kept)


def test_what_cannot_be_exported_leaves_the_old_file(trained, tmp_path, monkeypatch):
    run, results = trained
    path = tmp_path / "model.safetensors"
    path.write_text("old")

    def broken(*arguments):
        artifact = artifact_of(*arguments)
        artifact.tensors["fc.bias"] = artifact.tensors["fc.bias"] * float("nan")
        return artifact

    monkeypatch.setattr("bitswitch.deployment.export.artifact_of", broken)
    with pytest.raises(ArtifactError, match=r"fc\.bias"):
        export(run, results / "runs", path)
    with pytest.raises(CheckpointError, match="not finished"):
        export(exported.run_of(), results / "runs", path)
    assert path.read_text() == "old"


def test_the_command(trained, tmp_path, monkeypatch, capsys):
    run, results = trained
    path = tmp_path / "model.safetensors"

    def bitswitch(*arguments):
        monkeypatch.setattr(sys, "argv", ["bitswitch", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, capsys.readouterr()

    code, written = bitswitch("export", run.run_id, "-o", path, "--results", results)
    assert (code, written.out) == (
        0,
        f"{path}: {path.stat().st_size} bytes; "
        f"weights at {', '.join(map(str, run.bitset))} bits as in training, bit for bit\n",
    )
    assert load(path).facts.run == run.run_id
    code, written = bitswitch("export", run.run_id[:-1], "-o", path, "--results", results)
    assert code == 2
    assert f"Did you mean '{run.run_id}'" in written.err
    assert "Traceback" not in written.err
