"""Text for deployed language models: as tokens in, and how well every bit-width predicts it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from bitswitch.data.text import TextDataset
from bitswitch.data.text_files import read_text, require_known
from bitswitch.deployment.description import Description
from bitswitch.deployment.loading import load
from bitswitch.deployment.model import IntegerModel
from bitswitch.errors import SpecError
from bitswitch.nn.policy import resolve
from bitswitch.plugins import registry
from bitswitch.tasks.language_model import LanguageModel
from bitswitch.types import Policy

BATCH_SIZE = 8
"""Windows that are scored at once."""


class Scored(NamedTuple):
    """One text at one bit-width or policy."""

    policy: int | Policy
    values: Mapping[str, float]
    """Metrics of the task: ``bits_per_byte``, ``perplexity`` and more."""


class TextScores(NamedTuple):
    """How well a model predicts a text."""

    run: str
    """Identifier of the run that trained the model."""
    protocol: str
    """How the text was cut and scored."""
    unit: str
    """What is predicted: a byte or a token."""
    scores: Sequence[Scored]


def text_of(facts: Description) -> TextDataset:
    """Return what knows how the network of ``facts`` reads text.

    Raises:
        SpecError: it reads none.
    """
    dataset = registry.create("datasets", facts.dataset.name, facts.dataset.options)
    if not isinstance(dataset, TextDataset):
        raise SpecError(
            f"The model reads no text: dataset '{facts.dataset.name}' has other examples.\n"
            f"  Give picture files instead, or a model that was trained on text."
        )
    return dataset


def tokens_of(dataset: TextDataset, facts: Description, text: bytes, named: str) -> Tensor:
    """Return ``text`` as the network of ``facts`` reads it, int64 [tokens], without a first token.

    Args:
        dataset: From ``text_of``.
        facts: Of the network.
        text: In UTF-8.
        named: What messages call it.

    Raises:
        DatasetError: a token is none of the network's vocabulary.
    """
    ids = dataset.tokenizer.encode(text)
    require_known(ids, facts.classes, named)
    return torch.from_numpy(ids.astype("int64"))


def score(
    file: Path, text: Path, policies: Sequence[int | Policy], exactly: bool, threads: int
) -> TextScores:
    """Return how well the model in ``file`` predicts ``text``; see ``stages.score_text``.

    Args:
        file: The model.
        text: A file in UTF-8.
        policies: Bit-widths, or one for every layer; none: every bit-width.
        exactly: Use the integer model itself, not onnxruntime.
        threads: Of onnxruntime.

    Raises:
        ArtifactError: ``file`` cannot be used.
        BitWidthError: the model does not offer one of ``policies``.
        DatasetError: the text cannot be read, or has tokens that the model does not know.
        EncodingError: the network cannot be written as ONNX.
        SpecError: the model reads no text, or the text is too short.
    """
    model = load(file)
    chosen = policies or model.bitset
    for policy in chosen:
        resolve(policy, model.layers, model.bitset, has_float=False)  # before any computing
    dataset = text_of(model.facts)
    tokens = tokens_of(dataset, model.facts, read_text(text), f"{text}")
    windows = dataset.windows_of(tokens)
    if not windows.size("test") or len(tokens) < 2:
        raise SpecError(
            f"{text} is too short: it has {len(tokens)} {dataset.protocol.unit}s, and a window has "
            f"{dataset.protocol.context}.\n  Give a longer text."
        )
    protocol = dataset.protocol._replace(text=text.name)
    task = LanguageModel(protocol, bytes_of=dataset.bytes_of())
    scores = []
    for policy in chosen:
        judge = task.evaluator()
        with torch.no_grad(), model.at(policy) if exactly else nullcontext():
            predict = _predictor(model, policy, exactly, threads)
            for batch in windows.batches("test", BATCH_SIZE):
                judge.add(predict(batch.inputs), batch.targets)
        scores.append(Scored(policy, judge.result().values))
    return TextScores(model.facts.run, protocol.sentence(), protocol.unit, scores)


def _predictor(
    model: IntegerModel, policy: int | Policy, exactly: bool, threads: int
) -> Callable[[Tensor], Tensor]:
    if exactly:
        return model
    from bitswitch.deployment.onnx.runtime import Session

    return Session.of(model, policy, threads)
