"""What a suite on text may get wrong is one message, before any job."""

import json

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from bitswitch.data.tokenization import Bytes
from bitswitch.errors import BitswitchError
from bitswitch.models.llama import Llama
from bitswitch.planning import feasibility
from bitswitch.runtime import cache
from bitswitch.suite.suite import load_suite

SIZE = {"width": 16, "ffn": 32, "blocks": 1, "heads": 2, "kv_heads": 1, "context": 32}
LINE = b"Out, out, brief candle! "


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Write a text and a suite on it, load the suite and check it."""
    monkeypatch.setattr(cache, "FOLDER", tmp_path / "cache")

    def check(text=LINE * 40, model=(), dataset=(), training=(), **variant):
        path = tmp_path / "text.txt"
        path.write_bytes(text)
        files = dict.fromkeys(("train", "held_out", "test"), str(path))
        recipe = {"epochs": 1, "batch_size": 4, "learning_rate": 5e-4}
        content = {
            "name": "own", "title": "Own", "data": "embedded", "seeds": [0],
            "networks": {"net": {
                "title": "Net", "published": "none",
                "model": {"name": "llama", "options": SIZE | dict(model)},
                "dataset": {
                    "name": "text-files", "options": {**files, "context": 16, **dict(dataset)}
                },
                "bitsets": [[8, 4]], "float_training": recipe,
                "training": recipe | dict(training),
            }},
            "experiments": {"mine": {"title": "Mine", "networks": ["net"], "variants": {
                "variant": {"title": "Row", **variant}
            }}},
        }  # fmt: skip
        suite = tmp_path / "own.yaml"
        suite.write_text(yaml.safe_dump(content))
        feasibility.check(load_suite(suite))

    return check


def weights(folder, vocabulary=256, shards=2):
    """Write random weights as transformers does; return the folder."""
    options = Llama.Options(**SIZE)
    state = Llama(options).build(vocabulary, seed=0).state_dict()
    names = sorted(state)
    files = [f"model-{n + 1:05d}-of-{shards:05d}.safetensors" for n in range(shards)]
    for n, file in enumerate(files):
        save_file({name: state[name].contiguous() for name in names[n::shards]}, folder / file)
    where = {name: files[place % shards] for place, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    return folder


def test_what_is_right_passes(check, tmp_path):
    check()
    check(model={"weights": str(weights(tmp_path))})
    check(method={"name": "double-rounding", "options": {"weight_granularity": "per-group-8"}})


def groups(size):
    options = {"weight_granularity": f"per-group-{size}"}
    return {"method": {"name": "double-rounding", "options": options}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset": {"vocabulary": 200}}, ["vocabulary of 200", "bytes, 256", "at least 256"]),
        ({"text": b""}, ["Text is empty", "text.txt"]),
        ({"text": LINE * 9 + b"\xe9"}, ["not UTF-8 (byte 0xe9 at 216)", "text.txt", "iconv"]),
        ({"text": LINE[:16]}, ["context 16", "16 bytes", "Take a context of 15 or less"]),
        ({"dataset": {"context": 33}}, ["33 tokens", "context, 32"]),
        (groups(12), ["networks.net: Layer 'model.layers.0.", "groups of 12"]),
        ({"training": {"distillation": "ps-kd"}}, ["'ps-kd'", "tokens x vocabulary"]),
        ({"model": {"weights": "no/such"}}, ["no weights at no/such", "model 'llama'"]),
    ],
    ids=[
        *("vocabulary", "empty", "not UTF-8", "longer than the file"),
        *("longer than the network", "groups", "ps-kd", "no weights"),
    ],
)
def test_bad_input_is_one_message_before_any_job(check, changes, words, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "backward", None)
    with pytest.raises(BitswitchError) as caught:
        check(**changes)
    message = str(caught.value)
    for word in words:
        assert word in message
    assert len(message.splitlines()) <= 4


def test_tokens_out_of_range_are_said_before_any_job(check, monkeypatch):
    monkeypatch.setattr(Bytes, "encode", lambda _, text: np.arange(len(text), dtype=np.int32))
    with pytest.raises(BitswitchError, match=r"Token 256 at 256 of the train text.*has 256\.\n"):
        check()


def test_weights_are_looked_at_before_any_job(check, tmp_path):
    folder = weights(tmp_path, vocabulary=200)
    with pytest.raises(BitswitchError, match="for a vocabulary of 200, the data have one of 256"):
        check(model={"weights": str(folder)})
    shard = weights(tmp_path) / "model-00002-of-00002.safetensors"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:100])
    with pytest.raises(BitswitchError, match=f"{shard.name} is damaged"):
        check(model={"weights": str(folder)})
    shard.unlink()
    with pytest.raises(BitswitchError, match=f"lacks 1 of 2 files .*: {shard.name}"):
        check(model={"weights": str(folder)})
    shard.write_bytes(whole)
    (folder / "config.json").write_text(json.dumps({"num_attention_heads": 4}))
    with pytest.raises(BitswitchError, match=r"another network .*\n.*heads: 4"):
        check(model={"weights": str(folder)})


def test_labels_that_adapt_are_left_out_of_a_large_vocabulary(check):
    with pytest.raises(BitswitchError, match="4096 outputs at most"):
        check(dataset={"vocabulary": 5000}, method="multiquant")
