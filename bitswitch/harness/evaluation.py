"""Tasks of lm-eval, answered by one decoder at several bit-widths."""

import hashlib
import logging
import random
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from bitswitch.harness.decoder import Decoder
from bitswitch.harness.network import Network
from bitswitch.harness.tasks import groups, leaves, require_answerable
from bitswitch.results.evaluations import Answers, Evaluation, TaskFacts
from bitswitch.results.provenance import collect, installed
from bitswitch.runtime.devices import product_name
from bitswitch.runtime.instructions import used_on
from bitswitch.types import Policy

LIBRARIES = ("lm_eval", "datasets", "tokenizers")
SEED = 1234
"""Of the solved examples before a question, as in lm-eval."""
NO_VALUE = "N/A"
"""What lm-eval says where there is no standard error."""
_OF_A_SAMPLE = ("doc_hash", "prompt_hash", "target_hash")

log = logging.getLogger(__name__)


class Asked(NamedTuple):
    """Which questions, and how."""

    limit: float | None = None
    """Of questions per task, or the share of them below 1; None: all."""
    shots: int | None = None
    """Solved examples before every question; None: what each task says."""
    batch_size: int = 8
    """Windows that are read at once."""


def evaluate(
    decoder: Decoder,
    tasks: Sequence[Any],
    policies: Sequence[int | Policy],
    asked: Asked,
    file: Path | None,
) -> Evaluation:
    """Return what ``decoder`` says at every one of ``policies``.

    Args:
        decoder: To be evaluated.
        tasks: From ``load_tasks``.
        policies: Bit-widths, or one for every layer.
        asked: How much of them.
        file: Where ``decoder`` comes from; None: from its run.

    Raises:
        BitWidthError: the decoder does not offer one of ``policies``.
        SpecError: a task wants more than the context of the decoder has room for.
    """
    decoder.check(policies)
    require_answerable(tasks, decoder.context)
    place = decoder.device
    made = collect(
        decoder.modules,
        str(place),
        product_name(place),
        used_on(place),
        torch.get_num_threads(),
        "evaluate",
    )
    facts: dict[str, TaskFacts] = {}
    answers = []
    for policy in policies:
        log.info("%s at %s", decoder.run, policy if isinstance(policy, int) else "its policy")
        network = Network(decoder, asked.batch_size)
        with decoder.at(policy):
            found = _asked(network, tasks, asked)
        facts = _facts(found, leaves(tasks))
        answers.append(Answers(policy=policy, values=_values(found), truncated=network.truncated))
    return Evaluation(
        version=1,
        run=decoder.run,
        file=None if file is None else str(file),
        file_sha256=None if file is None else hashlib.sha256(file.read_bytes()).hexdigest(),
        protocol=decoder.dataset.protocol.sentence(),
        context=decoder.context,
        first_token=decoder.first,
        limit=asked.limit,
        shots=asked.shots,
        batch_size=asked.batch_size,
        versions={name: installed(name) for name in LIBRARIES},
        tasks=facts,
        answers=answers,
        provenance=made.ended(),
    )


def _asked(network: Network, tasks: Sequence[Any], asked: Asked) -> Any:
    """Return what lm-eval says of ``network``, with the seeds of its own command line.

    A task that says that it shows no solved examples keeps to that, as there.
    """
    from lm_eval.api.model import LM
    from lm_eval.evaluator import evaluate

    LM.register(Network)
    single = leaves(tasks)
    for task in single.values():
        own = task.get_config("num_fewshot")
        if own is None or (asked.shots is not None and own != 0):
            task.set_config(key="num_fewshot", value=asked.shots or 0)
        task.set_fewshot_seed(seed=SEED)
    random.seed(0)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    found = {"tasks": single, "groups": groups(tasks)}
    return evaluate(network, found, limit=_counted(asked.limit))


def _facts(found: Mapping[str, Any], tasks: Mapping[str, Any]) -> dict[str, TaskFacts]:
    """Return what was asked, by single task."""
    return {
        name: TaskFacts(
            version=found["versions"].get(name),
            shots=found["n-shot"][name],
            questions=found["n-samples"][name]["effective"],
            available=found["n-samples"][name]["original"],
            data_hash=_hash(found["samples"][name]),
            higher_is_better=found["higher_is_better"][name],
        )
        for name in tasks
    }


def _hash(samples: Sequence[Mapping[str, Any]]) -> str:
    """Return sixteen hex digits of questions, as they were asked, and answers."""
    text = "\n".join(str(sample[key]) for sample in samples for key in _OF_A_SAMPLE)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _values(found: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return the value of every metric, by task or group; ``,none`` names no filter of answers."""
    return {
        name: {
            metric.removesuffix(",none"): _finite(value)
            for metric, value in values.items()
            if "," in metric and value != NO_VALUE
        }
        for name, values in {**found["results"], **found.get("groups", {})}.items()
    }


def _finite(value: Any) -> float | None:
    """Return a number; None where it is one that no record knows."""
    return value if isinstance(value, int | float) and isfinite(value) else None


def _counted(limit: float | None) -> float | None:
    """Return ``limit`` as lm-eval reads it: a whole number, or a share below 1."""
    return limit if limit is None or limit < 1 else int(limit)
