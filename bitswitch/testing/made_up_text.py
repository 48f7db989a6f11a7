"""A made-up text, a tokenizer of it, and a Llama that knows it, in files as real ones have."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bitswitch.contracts.data import OpenDataset
from bitswitch.data.files import replace_folder
from bitswitch.models.llama_weights import CONFIG, EMBEDDING, HEAD, SINGLE
from bitswitch.plugins.registry import create
from bitswitch.types import Strict

PASSAGE = 600
"""Bytes of a play that a text repeats."""
TIMES = 20
TOKENS = 1000
"""Of the tokenizer, at most."""
LOGIT = 16.0
"""Of what follows, before rounding."""


def write_texts(paths: Sequence[Path], tokenizer: Path) -> None:
    """Write one passage of a play over and over, and a tokenizer that was trained on it."""
    import tokenizers

    dataset: Any = create("datasets", "shakespeare", {})
    plays = dataset.tokens()["train"].tobytes()
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(plays[:PASSAGE] * TIMES)
    made = tokenizers.ByteLevelBPETokenizer()
    made.train([str(paths[0])], vocab_size=TOKENS, special_tokens=["<s>"])
    tokenizer.parent.mkdir(parents=True, exist_ok=True)
    made._tokenizer.save(str(tokenizer))


@torch.no_grad()
def write_llama(folder: Path, net: nn.Module, size: Strict, data: OpenDataset) -> None:
    """Write a folder of weights as transformers does: random blocks, a head that knows the text.

    Args:
        folder: Of the weights.
        net: With random weights, which are changed.
        size: Options of the model.
        data: Whose windows say which token follows which.
    """
    from safetensors.torch import save_file

    state, options = net.state_dict(), size.model_dump()
    embedding, head = state[EMBEDDING], state[HEAD]
    embedding /= embedding.std()
    head /= 10
    windows = torch.cat([batch.inputs for batch in data.batches("test", 1)]).tolist()
    for token, following in {pair for window in windows for pair in pairwise(window)}:
        head[following] += LOGIT / options["width"] * embedding[token]
    config = {theirs: options[ours] for ours, theirs in CONFIG.items()}

    def write(draft: Path) -> None:
        content = json.dumps(config | {"vocab_size": len(head)})
        (draft / "config.json").write_text(content)
        save_file(state, draft / SINGLE)

    replace_folder(folder, write)
