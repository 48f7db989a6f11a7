"""The decoder against transformers' own, installed or as it once answered."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bitswitch.errors import SpecError, WeightsError
from bitswitch.models.llama import LlamaNet, Size
from bitswitch.plugins import registry

VECTORS = Path(__file__).with_name("llama.npz")
SMALL = {"width": 16, "ffn": 24, "blocks": 2, "heads": 4, "kv_heads": 2, "context": 32}
VOCABULARY = 11


def network(**changes):
    net = registry.create("models", "llama", {**SMALL, **changes}).build(VOCABULARY, 0)
    return filled(net)


def filled(net):
    """Give a network weights that are large enough to tell differences, always the same."""
    draw = np.random.default_rng(0)
    with torch.no_grad():
        for name, parameter in sorted(net.named_parameters()):
            shift = 1.0 if "norm" in name else 0.0
            values = shift + 0.3 * draw.standard_normal(tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(values))
    return net.eval()


def tokens(length=12):
    draw = np.random.default_rng(1)
    return torch.from_numpy(draw.integers(VOCABULARY, size=(2, length)))


CASES = [(1, False), (2, False), (4, False), (2, True)]


def theirs(kv_heads, tied):
    """Return LlamaForCausalLM with the same weights."""
    transformers = pytest.importorskip("transformers")
    made = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=SMALL["width"],
        intermediate_size=SMALL["ffn"],
        num_hidden_layers=SMALL["blocks"],
        num_attention_heads=SMALL["heads"],
        num_key_value_heads=kv_heads,
        max_position_embeddings=SMALL["context"],
        rms_norm_eps=1e-5,
        tie_word_embeddings=tied,
    )
    net = transformers.LlamaForCausalLM(made).eval()
    net.load_state_dict(network(kv_heads=kv_heads, tied=tied).state_dict())
    return net


@pytest.mark.parametrize(("kv_heads", "tied"), CASES)
def test_names_and_outputs_are_those_of_transformers(kv_heads, tied):
    other = theirs(kv_heads, tied)
    net = network(kv_heads=kv_heads, tied=tied)
    assert net.state_dict().keys() == other.state_dict().keys()
    with torch.no_grad():
        torch.testing.assert_close(net(tokens()), other(tokens()).logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("kv_heads", "tied"), CASES)
@pytest.mark.parametrize("attention", ["explicit", "fused"])
def test_outputs_are_those_that_transformers_once_gave(kv_heads, tied, attention):
    net = network(kv_heads=kv_heads, tied=tied, attention=attention)
    with np.load(VECTORS) as stored, torch.no_grad():
        expected = torch.from_numpy(stored[f"{kv_heads}-{tied}"])
        torch.testing.assert_close(net(tokens()), expected, rtol=0, atol=1e-4)
        assert sorted(net.state_dict()) == stored[f"names-{tied}"].tolist()


def test_no_token_looks_ahead_not_by_one_bit():
    net, before = network(), tokens()
    with torch.no_grad():
        whole = net(before)
        for place in range(before.shape[1]):
            after = before.clone()
            after[:, place:] = (after[:, place:] + 1) % VOCABULARY
            assert torch.equal(net(after)[:, :place], whole[:, :place])
            assert not torch.equal(net(after)[:, place], whole[:, place])


def test_the_small_one_has_the_size_that_is_said():
    net = registry.create("models", "llama-tiny", {}).build(256, 0)
    assert sum(parameter.numel() for parameter in net.parameters()) == 119_104
    inner = [m.weight for m in net.model.modules() if isinstance(m, torch.nn.Linear)]
    assert (len(inner), sum(map(torch.numel, inner))) == (14, 86_016)
    assert float(net.lm_head.weight.detach().std()) == pytest.approx(0.02, rel=0.05)


def test_the_default_is_tinyllama():
    options = registry.create("models", "llama", {}).options
    size = Size(32_000, fused=False, **options.model_dump(exclude={"attention", "weights"}))
    with torch.device("meta"):
        net = LlamaNet(size)
    total = sum(parameter.numel() for parameter in net.parameters())
    inner = sum(m.weight.numel() for m in net.model.modules() if isinstance(m, torch.nn.Linear))
    assert (total, inner) == (1_100_048_384, 968_884_224)


def test_a_window_longer_than_the_tables_is_refused():
    with pytest.raises(ValueError, match="33 tokens is longer than the network's context, 32"):
        network()(tokens(33))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 3}, "no even number"),
        ({"heads": 16, "kv_heads": 16}, "no even number"),
        ({"kv_heads": 3}, "no multiple of kv_heads 3"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(SpecError, match=message):
        network(**options)


# weights


def folder(path, net, shards=1, config=None):
    """Write weights as transformers does."""
    state = {name: value.clone() for name, value in net.state_dict().items()}
    names = [f"model-{number + 1:05}-of-{shards:05}.safetensors" for number in range(shards)]
    where = {name: names[number % shards] for number, name in enumerate(state)}
    for shard in names:
        save_file({name: state[name] for name in state if where[name] == shard}, path / shard)
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    if config is not None:
        (path / "config.json").write_text(json.dumps(config))
    return names


def loaded(path, outputs=VOCABULARY, **changes):
    model = registry.create("models", "llama", {**SMALL, **changes, "weights": str(path)})
    return model.build(outputs, 1)


def test_weights_are_loaded_from_a_file_and_from_shards(tmp_path):
    net = network()
    folder(tmp_path, net, shards=3, config={"hidden_size": 16, "rope_theta": 1e4})
    single = tmp_path / "single.safetensors"
    half = {name: value.to(torch.bfloat16) for name, value in net.state_dict().items()}
    save_file({**half, "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(2)}, single)
    for name, value in loaded(tmp_path).state_dict().items():
        assert torch.equal(value, net.state_dict()[name])
    assert torch.equal(loaded(single).lm_head.weight, half["lm_head.weight"].float())


def test_a_tied_head_may_be_left_out_of_the_file(tmp_path):
    net = network(tied=True)
    state = {n: v.clone() for n, v in net.state_dict().items() if n != "lm_head.weight"}
    save_file(state, tmp_path / "model.safetensors")
    again = loaded(tmp_path, tied=True)
    assert again.lm_head.weight is again.model.embed_tokens.weight
    assert torch.equal(again.lm_head.weight, net.lm_head.weight)


def test_missing_shards_are_named(tmp_path):
    names = folder(tmp_path, network(), shards=3)
    (tmp_path / names[1]).unlink()
    with pytest.raises(WeightsError, match=f"lacks 1 of 3 files .*: {names[1]}"):
        loaded(tmp_path)


def test_a_folder_without_weights_is_said(tmp_path):
    with pytest.raises(WeightsError, match="holds neither"):
        loaded(tmp_path)


def test_another_vocabulary_is_said_with_both_sizes(tmp_path):
    folder(tmp_path, network())
    with pytest.raises(WeightsError, match="a vocabulary of 11, the data have one of 12"):
        loaded(tmp_path, outputs=12)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_attention_heads": 2}, "{heads: 2}"),
        ({"rope_theta": 5e5}, "{theta: 500000.0}"),
        ({"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}, "{theta: 500000.0}"),
        ({"rope_scaling": {"rope_type": "llama3"}}, "has not: rope_scaling"),
        ({"attention_bias": True}, "has not: attention_bias"),
        ({"head_dim": 8}, "has not: head_dim"),
    ],
)
def test_a_configuration_of_another_network_is_refused(tmp_path, config, message):
    folder(tmp_path, network(), config=config)
    with pytest.raises(WeightsError, match=message):
        loaded(tmp_path)
