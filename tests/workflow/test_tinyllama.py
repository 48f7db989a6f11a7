"""The suite ``tinyllama`` on two random blocks of its shape, through every job of the workflow.

Layers, vocabulary, files and settings are those of the suite. Blocks, examples and tokens are few,
and training stays in float32: most processors take a hundred times longer in 16 bits.
"""

import json
import resource
import sys
import time
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
import yaml
from safetensors.torch import save_file

from bitswitch.models.llama_weights import CONFIG
from bitswitch.plugins.registry import create
from bitswitch.suite.suite import suite_path

BLOCKS = 2
WIDTHS = (8, 6, 4, 2)
VOCABULARY = 32_000
PASSAGE = 600
"""Bytes."""
LOGIT = 16.0
"""Of what follows, before rounding."""
SIZES = {"train": 4, "held_out": 2, "test": 4}
RECIPE = {"epochs": 1, "batch_size": 2, "accumulate": 2, "precision": "float32"}
EXPERIMENTS = {
    "language": {"double-rounding": {}},
    "language-weights": {"rtn": {"method": {"name": "rtn", "options": {"clip": "none"}}}},
    "language-search": {
        "ilp": {"search": {"evaluations": 4, "examples": 2, "scores": {"examples": 2}}}
    },
}
"""One variant of each, and what is laid over it; all others are left out."""


def shrunk(suite):
    """Return the content of the suite with two blocks, few windows and one row per experiment."""
    shared = yaml.safe_load((suite_path("tinyllama").parents[1] / "experiments.yaml").read_text())
    network = suite["networks"]["tinyllama"]
    network["model"]["options"]["blocks"] = BLOCKS
    network["dataset"]["options"] |= {"context": 16, "sizes": SIZES}
    network["training"] |= RECIPE
    experiments = {}
    for name, wanted in EXPERIMENTS.items():
        left_out = {variant: {"networks": []} for variant in shared[name]["variants"]}
        experiments[name] = {"networks": ["tinyllama"], "variants": left_out | wanted}
    deployed = {"title": "Double Rounding", "training": {"update": "separate"}, "deploy": True}
    experiments["deployed"] = {
        "title": "One stored integer model against training",
        "table": "parity",
        "networks": ["tinyllama"],
        "bitsets": [list(WIDTHS)],
        "variants": {"joint": deployed},
    }
    return suite | {"experiments": experiments}


def write_files(data):
    """Write texts, a tokenizer made of them, and a network of the shape as transformers would.

    Weights no better than guessing are refused. Blocks and embedding are random, and the head knows
    which tokens follow each in the text, which is one passage over and over.
    """
    tokenizers = pytest.importorskip("tokenizers", reason="needs pip install 'bitswitch[llm]'")
    text, weights = data / "text", data / "tinyllama"
    for folder in (text, weights):
        folder.mkdir(parents=True)
    plays = create("datasets", "shakespeare", {}).tokens()["train"].tobytes()
    for split in SIZES:
        (text / f"{split}.txt").write_bytes(plays[:PASSAGE] * 20)
    tokenizer = tokenizers.ByteLevelBPETokenizer()
    tokenizer.train([str(text / "train.txt")], vocab_size=1000, special_tokens=["<s>"])
    tokenizer._tokenizer.save(str(weights / "tokenizer.json"))
    ids = tokenizer.encode((text / "train.txt").read_text()).ids

    model = create("models", "llama", {"blocks": BLOCKS})
    size = model.options.model_dump()
    config = {theirs: size[ours] for ours, theirs in CONFIG.items()}
    (weights / "config.json").write_text(json.dumps(config | {"vocab_size": VOCABULARY}))
    state = model.build(VOCABULARY, 0).state_dict()
    embedding, head = state["model.embed_tokens.weight"], state["lm_head.weight"]
    embedding /= embedding.std()
    head /= 10
    for token, following in set(pairwise(ids)):
        head[following] += LOGIT / size["width"] * embedding[token]
    save_file(state, weights / "model.safetensors")


@pytest.mark.long
@pytest.mark.slow
def test_two_blocks_of_the_shape_go_through_every_job(project, capsys):
    content = yaml.safe_load(suite_path("tinyllama").read_text())
    project.write(shrunk(content))
    code, text = project.snakemake("--dry-run")
    assert code != 0
    assert "left out of suite 'tinyllama' until there is something at data/tinyllama" in text
    write_files(project.folder / "data")

    began = time.monotonic()
    code, text = project.run(project.command("--cores", "1", "all"))
    minutes = (time.monotonic() - began) / 60
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    with capsys.disabled():
        sys.stdout.write(f"{minutes:.1f} minutes, at most {peak:.1f} GiB in a process\n")
    assert code == 0, text
    folder = project.folder / "results" / "tinyllama"
    assert (folder / "report.html").exists()
    _check(folder)


def _check(folder: Path) -> None:
    metrics, parity, policies = (
        pd.read_csv(folder / f"{name}.csv") for name in ("metrics", "deployments", "policies")
    )
    own = metrics[(metrics["data"] == "published") & (metrics["metric"] == "perplexity")]
    assert set(own["experiment"]) >= {"language", "language-weights"}
    assert own["value"].between(1, 1e6).all()
    assert sorted(parity["bits"]) == sorted(WIDTHS)
    assert (parity["unexplained"] == 0).all()
    assert policies["held_out_headline"].notna().all()
