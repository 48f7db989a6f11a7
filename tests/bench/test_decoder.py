"""The benchmark of decoders, on a small one."""

import pytest
import torch

from bitswitch.bench import BENCHMARKS, decoder
from bitswitch.deployment import container
from bitswitch.deployment.loading import assembled

SHAPE = {"width": 128, "ffn": 256, "heads": 4, "kv_heads": 2}


@pytest.fixture(scope="module")
def model():
    return assembled(*decoder.stored(1, SHAPE), "memory")


def test_it_is_a_benchmark():
    assert "decoder" in BENCHMARKS


def test_codes_are_stored_and_no_weight_is_float(model):
    _, tensors = decoder.stored(1, SHAPE)
    weights = [name for name in tensors if name.endswith("weight.codes")]
    assert len(weights) == len(model.layers) == 7
    assert {tensors[name].dtype for name in weights} == {torch.int8}
    assert {name for name, t in tensors.items() if t.dim() == 2 and t.dtype == torch.float32} == {
        "lm_head.weight",
        "model.embed_tokens.weight",
    }
    codes = model.snapshot(2).layers["model.layers.0.mlp.down_proj"]
    assert (codes.weight_scale.shape, codes.grid) == ((128, 2), None)
    assert codes.codes.unique().tolist() == [-2, -1, 0, 1]


def test_rounded_inputs_change_little(model):
    for bits in decoder.BITSET:
        found = decoder.parity_of(model, bits)
        assert 0 < found.difference < 0.1
        assert found.differing <= decoder.CONTEXT / 8


def test_the_table_is_whole(monkeypatch):
    small = decoder.stored(1, SHAPE)
    monkeypatch.setattr(decoder, "stored", lambda: small)
    monkeypatch.setattr(decoder, "ROUNDS", 1)
    monkeypatch.setattr(decoder, "memory_of", lambda file, bits: float(bits))
    found = decoder.measure()
    assert {len(row) for row in found.rows} == {len(found.columns)}
    assert [row[0] for row in found.rows][:-1] == ["float32", "8", "6 (kernel of 8)", "4", "2"]
    assert {"speedup_8", "speedup_4", "speedup_2", "scoring_speedup_8"} <= set(found.figures)
    assert found.figures["memory_4"] == 4 / 32


def test_a_process_grows_by_what_it_holds(tmp_path):
    """At 8 bits, a byte per weight and a scale per group; the rest is small beside them."""
    shape = {"width": 1024, "ffn": 1024, "heads": 8, "kv_heads": 4}
    description, tensors = decoder.stored(1, shape)
    file = tmp_path / "model.safetensors"
    file.write_bytes(container.encoded(description, tensors))
    weights = sum(t.numel() for t in tensors.values() if t.dtype == torch.int8) / 2**20
    assert 0.9 * weights < decoder.memory_of(file, 8) < 1.3 * weights + 16
