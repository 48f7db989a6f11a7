"""Classify picture files with a deployed model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from bitswitch.contracts.data import Dataset
from bitswitch.data.pictures import read_picture
from bitswitch.deployment.description import Description
from bitswitch.deployment.latency import WidthInBudget, known_latencies, widest_within
from bitswitch.deployment.loading import load
from bitswitch.errors import SpecError
from bitswitch.plugins import registry
from bitswitch.types import Policy

if TYPE_CHECKING:
    from bitswitch.deployment.model import IntegerModel

REMEDY = "give picture files that Pillow reads, .png or .jpg say"


class Inference(NamedTuple):
    """What a model says of pictures."""

    policy: int | Policy
    choice: WidthInBudget | None
    """Why these bit-widths; None: they were given."""
    run: str
    """Identifier of the run that trained the model."""
    probabilities: Sequence[tuple[Path, Tensor]]
    """Pictures, and float32 [classes] of each."""


def infer(
    file: Path,
    images: Sequence[Path],
    policy: int | Policy | None,
    budget_ms: float | None,
    exactly: bool,
    threads: int,
) -> Inference:
    """Return what the model in ``file`` says of ``images``; see ``stages.infer``.

    Args:
        file: The model.
        images: Picture files.
        policy: None: the widest bit-width, or what the budget allows.
        budget_ms: Per image; None: any.
        exactly: Use the integer model itself, not onnxruntime.
        threads: Of onnxruntime.

    Raises:
        ArtifactError: ``file`` cannot be used.
        BitWidthError: the model does not offer ``policy``.
        DatasetError: a picture cannot be read.
        EncodingError: the network cannot be written as ONNX.
        LatencyBudgetError: no bit-width meets the budget.
        SpecError: the dataset cannot say what the network sees of a picture.
    """
    model, choice = load(file), None
    if budget_ms is not None:
        choice = widest_within(known_latencies(file, threads), budget_ms)
        policy = choice.bits
    policy = model.bitset[0] if policy is None else policy
    model.switch(policy)
    batch = pictures(model.facts, images)
    logits = model(batch) if exactly else _fast(model, policy, batch, threads)
    return Inference(
        policy, choice, model.facts.run, list(zip(images, logits.softmax(1), strict=True))
    )


def _fast(model: "IntegerModel", policy: int | Policy, images: Tensor, threads: int) -> Tensor:
    from bitswitch.deployment.onnx.runtime import Session

    return Session.of(model, policy, threads)(images)


def pictures(facts: Description, images: Sequence[Path]) -> Tensor:
    """Return what the network of ``facts`` sees of ``images``, float32 [n, channels, ...].

    Raises:
        DatasetError: one cannot be read.
        SpecError: the dataset cannot say what the network sees of a picture.
    """
    dataset: Dataset = registry.create("datasets", facts.dataset.name, facts.dataset.options)
    try:
        return torch.stack([dataset.network_input(read_picture(path, REMEDY)) for path in images])
    except NotImplementedError:
        raise SpecError(
            f"Dataset '{facts.dataset.name}' cannot say what a network sees of a picture.\n"
            f"  Add network_input() to its plugin, or run the model from Python: "
            f"bitswitch.deployment.load"
        ) from None
