"""A decoder to be evaluated: the network that a run left behind, or a deployed model."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bitswitch.data.text import TextDataset
from bitswitch.data.text_files import require_known
from bitswitch.deployment.generation import CachedReader
from bitswitch.deployment.loading import load
from bitswitch.deployment.text import text_of
from bitswitch.errors import SpecError
from bitswitch.nn.policy import resolve
from bitswitch.runtime.devices import resolve as resolve_device
from bitswitch.spec.run import RunSpec
from bitswitch.training.trained import eager_parts, trained_model
from bitswitch.types import BitSet, Policy

SHOWN = 40
"""Letters of a text that a message shows."""


class Decoder(NamedTuple):
    """A network that reads tokens, and what is known of it."""

    run: str
    """Identifier of the run that trained it."""
    dataset: TextDataset
    net: nn.Module
    logits: Callable[..., Tensor]
    """Takes tokens [n, t], and a cache where the network does."""
    at: Callable[[int | Policy], AbstractContextManager[Any]]
    """Runs at a policy inside a ``with`` block."""
    bitset: BitSet
    layers: Sequence[str]
    """Whose bit-width a policy sets."""
    has_float: bool
    """Whether it runs at full precision too, as 32 bits."""
    outputs: int
    """Tokens that it knows."""
    device: torch.device
    modules: Sequence[str]
    """Names of the modules of its plugins."""

    @property
    def context(self) -> int:
        """Tokens that it reads at most: as many as in training."""
        return self.dataset.protocol.context

    @property
    def first(self) -> int:
        """Token before a text: that for its beginning, or a line feed where there is none."""
        token = self.dataset.bos_token
        return int(self.encode("\n")[-1]) if token is None else token

    @property
    def begins_windows(self) -> int | None:
        """Token that every window of training began with, if there is one."""
        return self.dataset.bos_token if self.dataset.protocol.bos == "window" else None

    @property
    def begins_texts(self) -> Sequence[int]:
        """Tokens that a text begins with."""
        token = self.dataset.bos_token
        return [] if token is None or self.dataset.protocol.bos == "none" else [token]

    def encode(self, text: str) -> list[int]:
        """Return the tokens of ``text``, without one for its beginning.

        Raises:
            DatasetError: one is none of the network's vocabulary.
        """
        ids = self.dataset.tokenizer.encode(text.encode())
        require_known(ids, self.outputs, f"{text[:SHOWN]!r}")
        return [int(token) for token in ids]

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of ``tokens``; bytes that are no UTF-8 are marked."""
        return self.dataset.tokenizer.decode(tokens).decode(errors="replace")

    def reader(self) -> CachedReader:
        """Return what reads a text from its beginning, at the policy of the moment."""
        return CachedReader(self.net, self.logits, self.device)

    def check(self, policies: Sequence[int | Policy]) -> None:
        """Raise an error where it does not run at one of ``policies``.

        Raises:
            BitWidthError: an unknown bit-width or layer, or a layer that is missing.
        """
        for policy in policies:
            resolve(policy, self.layers, self.bitset, self.has_float)


def trained(run: RunSpec, runs: Path, device: str) -> Decoder:
    """Return the decoder that ``run`` has left behind, in evaluation mode.

    Args:
        run: Resolved.
        runs: Folder of all run directories.
        device: See ``bitswitch.runtime.devices.resolve``.

    Raises:
        CheckpointError: the run is not finished, or its checkpoint is damaged.
        Diverged: the run has no network.
        SpecError: it reads no text.
    """
    parts, place = eager_parts(run), resolve_device(device)
    if not isinstance(parts.dataset, TextDataset):
        raise SpecError(
            f"{run.run_id} reads no text: dataset '{run.dataset.name}' has other examples.\n"
            f"  Name a run that was trained on text."
        )
    model = trained_model(run, parts, runs, place, by="lm-eval")
    return Decoder(
        run=run.run_id,
        dataset=parts.dataset,
        net=model.net,
        logits=model.net,
        at=model.at,
        bitset=model.bitset,
        layers=list(model.layers),
        has_float=True,
        outputs=parts.dataset.outputs,
        device=place,
        modules=parts.modules,
    )


def deployed(file: Path, device: str) -> Decoder:
    """Return the decoder in ``file`` as the exact integer model.

    Args:
        file: As ``bitswitch export`` wrote it.
        device: See ``bitswitch.runtime.devices.resolve``.

    Raises:
        ArtifactError: ``file`` cannot be used.
        SpecError: it reads no text.
    """
    place = resolve_device(device)
    model = load(file, place)
    dataset = text_of(model.facts)
    return Decoder(
        run=model.facts.run,
        dataset=dataset,
        net=model.net,
        logits=model,
        at=model.at,
        bitset=model.bitset,
        layers=model.layers,
        has_float=False,
        outputs=model.facts.classes,
        device=place,
        modules=[type(dataset).__module__],
    )
