"""One sensitivity from its first file to its last."""

import logging
from collections.abc import Iterator
from math import isfinite

import torch

from bitswitch.contracts.data import Batch
from bitswitch.contracts.sensitivity import ScoringInput, Sensitivity, SensitivityScores
from bitswitch.contracts.streams import Stream
from bitswitch.errors import Diverged, PluginError
from bitswitch.plugins import registry
from bitswitch.plugins.guard import plugin_errors
from bitswitch.results import provenance
from bitswitch.results.files import write_bytes, write_json
from bitswitch.results.result import write_result
from bitswitch.results.scores import NAME, write_scores
from bitswitch.runtime import devices
from bitswitch.runtime.drafts import remove_lost
from bitswitch.runtime.randomness import generator
from bitswitch.spec import yaml_text
from bitswitch.spec.run import SensitivitySpec
from bitswitch.stages.execution import Execution
from bitswitch.training.clock import Clock, Instant
from bitswitch.training.trained import Trained, load_trained
from bitswitch.types import FLOAT_BITS

log = logging.getLogger(__name__)

BATCH_SIZE = 64


def run_scoring(spec: SensitivitySpec, execution: Execution, began: Instant) -> None:
    """Write ``scores.csv`` and ``result.json`` of ``spec``; see ``bitswitch.stages.score``."""
    torch.set_num_threads(execution.threads)
    folder, clock = execution.sensitivities / spec.identifier, Clock(execution.device, began)
    folder.mkdir(parents=True, exist_ok=True)
    remove_lost(folder)
    content = yaml_text.dump(spec.model_dump(mode="json"))
    write_bytes(folder / "spec.yaml", content.encode())
    facts, status, diagnosis, findings = {}, "complete", None, SensitivityScores([])
    try:
        trained = load_trained(
            spec.run, execution.runs, execution.data, execution.device, spec.identifier, spec.epoch
        )
        plugin = registry.create("sensitivities", spec.sensitivity.name, spec.sensitivity.options)
        facts = provenance.collect(
            [type(plugin).__module__, *trained.parts.modules],
            str(execution.device),
            devices.product_name(execution.device),
            execution.threads,
            "explore",
        )
        with clock.phase("evaluate"):
            findings = scored(plugin, trained, spec)
    except Diverged as finding:
        status, diagnosis = "diverged", str(finding)
    write_scores(folder, findings.scores)
    write_json(folder / "provenance.json", {**facts, "finished": provenance.now()})
    spent = clock.read()
    outcome = {
        "identifier": spec.identifier,
        "status": status,
        "diagnosis": diagnosis,
        "time_s": spent["evaluate"],
        "time_kind": clock.kind,
        "wall_time_s": spent["wall"],
        "peak_memory_mib": clock.peak_memory_mib(),
        "facts": dict(findings.facts),
    }
    write_result(folder, outcome, ("provenance.json", NAME))
    log.info("%s: %s", spec.identifier, status)


def scored(plugin: Sensitivity, trained: Trained, spec: SensitivitySpec) -> SensitivityScores:
    """Return what ``plugin`` finds out about a trained network.

    Raises:
        PluginError: it raised an error.
    """
    model, dataset = trained.model, trained.dataset

    def batches() -> Iterator[Batch]:
        left = spec.images
        size = min(BATCH_SIZE, dataset.size("train"))
        for batch in dataset.train_batches(size, Stream("sensitivity"), spec.seed, skip=0):
            if left <= 0:
                return
            yield Batch(*(part[:left] for part in batch))
            left -= len(batch.targets)

    subject = ScoringInput(model, spec.bitset, batches, generator("sensitivity", spec.seed))
    model.switch(FLOAT_BITS)
    who = f"sensitivity '{spec.sensitivity.name}'"
    with plugin_errors(who, "score()"):
        findings = plugin.score(subject)
    _check(findings, list(model.layers), who)
    return findings


def _check(findings: SensitivityScores, layers: list[str], who: str) -> None:
    """Raise PluginError unless every layer, and nothing else, has scores that are numbers."""
    known, found = set(layers), {score.layer for score in findings.scores}
    missing = [layer for layer in layers if layer not in found]
    if missing:
        raise PluginError(f"{who} scores no layer '{missing[0]}' ({len(missing)} missing).")
    for score in findings.scores:
        if score.layer not in known:
            raise PluginError(f"{who} scores '{score.layer}', which is no switchable layer.")
        if not isfinite(score.value):
            raise PluginError(
                f"{who} gives layer '{score.layer}' the score {score.value}, which is no number "
                f"that a search can add. Are the network's weights finite?"
            )
