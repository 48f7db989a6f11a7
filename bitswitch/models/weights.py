"""Pretrained weights: published ones where they can be reached, or a local file."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from bitswitch.contracts.data import Download
from bitswitch.errors import WeightsError, hint
from bitswitch.models.weight_files import State, read_sets
from bitswitch.types import Strict

SHOWN = 3
"""Names that a message lists at most."""
COUNTER = "num_batches_tracked"
"""Buffers of batch norm that files may lack."""

log = logging.getLogger(__name__)


class WeightOptions(Strict):
    """Where the initial weights come from."""

    weights: str = "none"
    """``none``: random; ``imagenet``: published ones, downloaded once; else the path of a file.
    A classifier for another number of classes is left out and starts at random."""
    weights_part: str | None = None
    """Which of several sets of weights in the file, e.g. ``state_dict_ema``; None: the only one."""


class Candidate(NamedTuple):
    """A set of weights in a file that may be those of a network."""

    label: str
    """As ``weights_part`` names it."""
    state: State
    """By the network's own names."""
    known: int
    """How many of the network's names it has."""


def kept_at(name: str) -> Path:
    """Return where published weights of this file name are kept: torch's cache."""
    return Path(torch.hub.get_dir(), "checkpoints", name)


def load_weights(
    net: nn.Module, options: WeightOptions, published: Callable[[], State], file: Download
) -> bool:
    """Load what ``options`` say into ``net``.

    Args:
        net: Network with random weights.
        options: Which weights.
        published: Reads the published weights, or downloads them.
        file: Where they are, and where a copy is looked for first.

    Returns:
        Whether every weight was loaded, those of the classifier included.

    Raises:
        WeightsError: weights that cannot be had or do not fit.
    """
    if options.weights == "none":
        return False
    if options.weights != "imagenet":
        path = Path(options.weights)
        return adapt(net, choose(net, read_sets(path), options.weights_part, path), str(path))
    try:
        state = published()
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(
            f"The published weights cannot be had: {reason}\n"
            f"  fetch it where there is a network: {file}"
        ) from error
    return adapt(net, state, file.url)


def choose(net: nn.Module, sets: Mapping[str, State], part: str | None, path: Path) -> State:
    """Return the weights of ``net`` among all in a file.

    Wrappers such as ``torch.compile``, data-parallel training and Lightning put one prefix before
    every name; it is taken off, and what lies beside it in the file is left out.

    Args:
        net: The network.
        sets: As ``read_sets`` returns them.
        part: Which one; None: the only one that has all of the network's names.
        path: Of the file, for messages.

    Raises:
        WeightsError: none of this name, or several that fit equally well.
    """
    own = {name for name in net.state_dict() if not name.endswith(COUNTER)}
    candidates = [one for name in sets for one in _candidates(name, sets[name], own)]
    labels = [one.label for one in candidates]
    if part is not None and part not in labels:
        known = [label for label in labels if label != "."] or ["none that has a name"]
        raise WeightsError(
            f"{path} has no weights '{part}'.{hint(part, known)}\n"
            f"  Set the model's option 'weights_part' to one of: {', '.join(known)}"
        )
    most = max((one.known for one in candidates), default=0)
    best = [one for one in candidates if (one.known == most if part is None else one.label == part)]
    if not best:
        return next(iter(sets.values()))
    chosen, *others = best if most == len(own) else best[:1]
    apart = [other.label for other in others if not _same(chosen.state, other.state)]
    if apart:
        raise WeightsError(
            f"{path} holds several sets of weights: {', '.join([chosen.label, *apart])}.\n"
            f"  Set the model's option 'weights_part' to one of them; published accuracies are "
            f"mostly those of averaged (EMA) weights."
        )
    if chosen.label != ".":
        log.info("%s: takes the weights '%s'", path, chosen.label)
    return chosen.state


def _candidates(name: str, state: State, own: set[str]) -> Iterator[Candidate]:
    """Yield what is left of ``state`` after each prefix that leads to names of the network."""
    prefixes = Counter(
        key[: len(key) - len(rest)] for key in state for rest in _tails(key) if rest in own
    )
    for prefix, known in prefixes.items():
        inner = {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}
        parts = [part for part in (name.strip("."), prefix.rstrip(".")) if part]
        yield Candidate("/".join(parts) or ".", inner, known)


def _tails(name: str) -> Iterator[str]:
    """Yield ``name`` and all that follows one of its dots."""
    yield name
    while "." in name:
        name = name.partition(".")[2]
        yield name


def _same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def adapt(net: nn.Module, state: State, where: str) -> bool:
    """Load ``state`` into ``net``; a classifier of another size keeps its random weights.

    Returns:
        Whether the classifier was loaded too.

    Raises:
        WeightsError: names or shapes differ anywhere else, or values are not finite.
    """
    own = net.state_dict()
    misfits = {name for name in own.keys() & state.keys() if own[name].shape != state[name].shape}
    head = _classifier(net)
    skipped = head if misfits and misfits <= head else set()
    fitting = {name: state[name] for name in state if name not in misfits | skipped}
    broken = [name for name in fitting if name in own and not fitting[name].isfinite().all()]
    answer = net.load_state_dict(fitting, strict=False)
    problems = [
        *(f"no {name}" for name in answer.missing_keys if name not in misfits | skipped),
        *(f"unknown {name}" for name in answer.unexpected_keys),
        *(f"{name} of another shape" for name in sorted(misfits - skipped)),
        *(f"NaN or infinity in {name}" for name in broken),
    ]
    if problems:
        more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise WeightsError(
            f"The weights do not fit {type(net).__name__}: {', '.join(problems[:SHOWN])}{more}\n"
            f"  weights: {where}"
        )
    return not skipped


def _classifier(net: nn.Module) -> set[str]:
    """Return the names of the parameters of the last linear layer."""
    linear = [name for name, module in net.named_modules() if isinstance(module, nn.Linear)]
    return {f"{name}.{part}" for name in linear[-1:] for part in ("weight", "bias")}
