"""All files that a suite of made-up data names: pictures, texts and weights, as real ones lie.

The weights are random but for the classifier, which is fitted to a few training examples: what
starts from pretrained weights refuses those that are no better than guessing.
"""

from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bitswitch.contracts.data import Batch, Model, OpenDataset
from bitswitch.contracts.streams import Stream
from bitswitch.data.files import replace_atomically
from bitswitch.data.made_up import Few, below
from bitswitch.data.packed.folders import PackedFolders
from bitswitch.data.packed.form import parse
from bitswitch.errors import SpecError
from bitswitch.plugins.facts import WITHOUT_FILE
from bitswitch.plugins.registry import create
from bitswitch.spec.run import Choice, RunSpec
from bitswitch.suite.suite import Suite
from bitswitch.testing.made_up import WRITERS, Amount
from bitswitch.testing.made_up_text import write_llama, write_texts

EXAMPLES = 64
"""Random crops that a classifier is fitted to, about; few, so that it knows them all."""
RIDGE = 1e-3
"""Of the mean square of features."""
SHARPNESS = 8.0
"""What the classifier's fit to one-hot targets is multiplied by."""

Tell = Callable[[str], None]


def write_files(suite: Suite, root: Path, tell: Tell) -> None:
    """Write whatever ``suite`` names and is not there.

    Args:
        suite: One of made-up data.
        root: Of all datasets; they lie in a folder of their own below it.
        tell: Takes a line for each.

    Raises:
        SpecError: the suite takes real data.
        DatasetError: something cannot be written.
    """
    if suite.data != "made-up":
        raise SpecError(
            f"Suite '{suite.name}' takes real data, which are not made up. One that is based on it "
            f"may: base: {suite.name}, data: made-up; see config/suites/rehearsal.yaml."
        )
    runs = list(suite.runs.values())
    if find_spec("tokenizers") is None:
        left_out = [run for run in runs if run.dataset.name == "text-files"]
        runs = [run for run in runs if run.dataset.name != "text-files"]
        if left_out:
            named = ", ".join(dict.fromkeys(run.model.name for run in left_out))
            tell(
                f"left out: {len(left_out)} runs on texts ({named}), whose made-up tokenizer needs "
                f"a package that is not here: pip install 'bitswitch[llm]', then this again"
            )
    for choice in {run.dataset.identifier: run.dataset for run in runs}.values():
        _write_dataset(choice, root, tell)
    for named, run in {run.model.options.get("weights", "none"): run for run in runs}.items():
        if named not in WITHOUT_FILE:
            _once(Path(named), partial(write_weights, Path(named), run, root), tell)


def _write_dataset(choice: Choice, root: Path, tell: Tell) -> None:
    if choice.name == "text-files":
        options = choice.options
        paths = [Path(path) for split in ("train", "held_out", "test") for path in options[split]]
        _once(paths[0], partial(write_texts, paths, Path(options["tokenizer"])), tell)
    few = choice.options.get("made_up")
    if few is not None:
        amount, folder = Few.model_validate(few), below(root, is_made_up=True)
        wanted = Amount(amount.classes, amount.per_class)
        _once(folder / choice.name, partial(WRITERS[choice.name], folder, wanted), tell)
    if word := choice.options.get("packed"):
        plugin: Any = create("datasets", choice.name, choice.options)
        packed: PackedFolders = plugin.packed_folders(root)
        if packed.is_complete(word):
            tell(f"there already: {packed.folder(word)}")
        else:
            tell(f"packed: {plugin.pack(root, root, parse(word), 1, lambda line: None)}")


def _once(path: Path, write: Callable[[], object], tell: Tell) -> None:
    if path.exists():
        tell(f"there already: {path}")
        return
    write()
    tell(f"made up: {path}")


def write_weights(path: Path, run: RunSpec, root: Path) -> None:
    """Write weights of the network of ``run`` in the format that published ones have."""
    options = {**run.model.options, "weights": "none"}
    model: Model = create("models", run.model.name, options)
    dataset = create("datasets", run.dataset.name, run.dataset.options)
    dataset.prepare(root)
    opened = dataset.open(root, torch.device("cpu"))
    net = model.build(dataset.outputs, seed=0)
    if model.reads == "tokens":
        write_llama(path, net, model.options, opened)
        return
    fit(net.eval(), list(_batches(opened, run)))

    def write(draft: Path) -> None:
        if path.suffix == ".safetensors":
            from safetensors.torch import save_file

            save_file(net.state_dict(), draft)
        else:
            torch.save(net.state_dict(), draft)

    replace_atomically(path, write)


def _batches(opened: OpenDataset, run: RunSpec) -> Iterable[Batch]:
    """Yield training examples, first those that pretrained weights are tried on."""
    size = min(opened.size("train"), EXAMPLES)
    yield from opened.train_batches(size, Stream("pretrained check"), run.seed, skip=0)
    for epoch in range(EXAMPLES // size):
        yield from opened.train_batches(size, Stream("training", epoch), run.seed, skip=0)


@torch.no_grad()
def fit(net: nn.Module, batches: list[Batch]) -> None:
    """Fit statistics of batch norms and the last linear layer to ``batches``: ridge regression."""
    norms = [one for one in net.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    for batch in batches:
        net(batch.inputs)
    for norm in norms:
        norm.eval()
    head = [module for module in net.modules() if isinstance(module, nn.Linear)][-1]
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for batch in batches:
        net(batch.inputs)
    hook.remove()
    features = torch.cat(seen).double()
    targets = torch.cat([batch.targets for batch in batches])
    wanted = nn.functional.one_hot(targets, head.out_features).double() - 1 / head.out_features
    mean = features.mean(0)
    centred = features - mean
    products = centred @ centred.T
    ridge = RIDGE * products.diagonal().mean() * torch.eye(len(products), dtype=torch.float64)
    weights = SHARPNESS * torch.linalg.solve(products + ridge, wanted).T @ centred
    head.weight.copy_(weights)
    head.bias.copy_(-weights @ mean)
