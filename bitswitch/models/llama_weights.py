"""Weights of a Llama: a safetensors file, or a folder as transformers writes it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from bitswitch.errors import WeightsError
from bitswitch.models.weight_files import State, read_sets, read_shapes
from bitswitch.models.weights import SHOWN, adapt, choose

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
TABLES = "rotary_emb.inv_freq"
"""Old files hold these; they follow from the options."""

CONFIG = {
    "width": "hidden_size",
    "ffn": "intermediate_size",
    "blocks": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "eps": "rms_norm_eps",
    "tied": "tie_word_embeddings",
}
"""Options of the model, and what transformers calls them."""
UNKNOWN = ("attention_bias", "mlp_bias")
"""What a network may have and this one has not."""


def check_llama(size: Mapping[str, Any], weights: str) -> None:
    """Raise unless the weights of a file or folder can be those of a network of ``size``.

    Of safetensors files the headers are read, of others nothing.

    Args:
        size: What the network is made of, by option, and its ``vocabulary``.
        weights: Path of the file or folder.

    Raises:
        WeightsError: they are missing, incomplete, damaged, or another network's.
    """
    path = Path(weights)
    if path.is_dir():
        _require_alike(path / "config.json", size)
    for file in _files(path):
        shape = read_shapes(file).get(EMBEDDING)
        if shape is not None:
            _require_vocabulary(shape[0], size, path)


def load_llama(net: nn.Module, size: Mapping[str, Any], weights: str) -> None:
    """Load the weights of a file or folder into ``net``.

    Args:
        net: With random weights.
        size: What it is made of, by option, and its ``vocabulary``.
        weights: Path of the file or folder.

    Raises:
        WeightsError: they are missing, incomplete, damaged, or another network's.
    """
    path = Path(weights)
    if path.is_dir():
        _require_alike(path / "config.json", size)
    state = {name: value for name, value in _read(net, path).items() if not name.endswith(TABLES)}
    if size["tied"] and EMBEDDING in state:
        state.setdefault(HEAD, state[EMBEDDING])
    if EMBEDDING in state:
        _require_vocabulary(len(state[EMBEDDING]), size, path)
    adapt(net, state, str(path))


def _require_vocabulary(count: int, size: Mapping[str, Any], path: Path) -> None:
    """Raise an error where weights are for ``count`` tokens, and data have another number."""
    if count != size["vocabulary"]:
        raise WeightsError(
            f"The weights in {path} are for a vocabulary of {count}, the data have one of "
            f"{size['vocabulary']}.\n  Give the tokenizer that belongs to these weights; where it "
            f"knows fewer tokens than the network, set the dataset's option 'vocabulary'."
        )


def _read(net: nn.Module, path: Path) -> State:
    """Return all weights in a file or folder by the names of ``net``."""
    files = _files(path)
    if len(files) == 1:
        return choose(net, read_sets(files[0]), None, path)
    state = {n: v for file in files for n, v in read_sets(file)["."].items()}
    return choose(net, {".": state}, None, path)


def _files(path: Path) -> list[Path]:
    """Return the files that a file or folder of weights consists of.

    Raises:
        WeightsError: some are missing.
    """
    if not path.is_dir():
        return [path]
    index = path / INDEX
    if not index.exists():
        if not (path / SINGLE).exists():
            raise WeightsError(f"{path} holds neither {SINGLE} nor {INDEX}.")
        return [path / SINGLE]
    shards = sorted(set(_json(index).get("weight_map", {}).values()))
    missing = [name for name in shards if not (path / name).exists()]
    if missing or not shards:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise WeightsError(
            f"{path} lacks {len(missing)} of {len(shards)} files that {INDEX} names: "
            f"{', '.join(missing[:SHOWN])}{more}.\n  Download them again."
        )
    return [path / name for name in shards]


def _require_alike(config: Path, size: Mapping[str, Any]) -> None:
    """Raise an error where a folder's configuration says another network than the options.

    Heads, angles and the epsilon of norms show in no shape of a weight.
    """
    if not config.exists():
        return
    found = _json(config)
    rope = found.get("rope_parameters") or {}
    theirs = {option: found[key] for option, key in CONFIG.items() if key in found}
    theirs["theta"] = found.get("rope_theta", rope.get("rope_theta", size["theta"]))
    wrong = {option: value for option, value in theirs.items() if value != size[option]}
    if wrong:
        listed = ", ".join(f"{option}: {value}" for option, value in wrong.items())
        raise WeightsError(
            f"{config} is of another network than the options of model 'llama'.\n"
            f"  Set them to {{{listed}}}"
        )
    scaling = found.get("rope_scaling") or (rope if rope.get("rope_type") != "default" else {})
    odd = [key for key in UNKNOWN if found.get(key)]
    odd += ["rope_scaling"] if scaling.get("rope_type", "default") != "default" else []
    head = found.get("head_dim") or size["width"] // size["heads"]
    odd += ["head_dim"] if head != size["width"] // size["heads"] else []
    if odd:
        raise WeightsError(f"{config} asks for what model 'llama' has not: {', '.join(odd)}.")


def _json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} is damaged: it holds no object.")
    return content
