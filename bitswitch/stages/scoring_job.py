"""One sensitivity from its first file to its last."""

from collections.abc import Iterator
from math import isfinite

from bitswitch.contracts.data import Batch
from bitswitch.contracts.sensitivity import ScoringInput, Sensitivity, SensitivityScores
from bitswitch.contracts.streams import Stream
from bitswitch.errors import PluginError
from bitswitch.plugins import registry
from bitswitch.plugins.guard import plugin_errors
from bitswitch.results.records import ScoringResult
from bitswitch.results.scores import NAME, write_scores
from bitswitch.runtime.randomness import generator
from bitswitch.spec.run import SensitivitySpec
from bitswitch.stages.execution import Execution
from bitswitch.stages.job import Job
from bitswitch.training.clock import Instant
from bitswitch.training.trained import Trained, load_trained
from bitswitch.types import FLOAT_BITS

BATCH_SIZE = 64


class ScoringJob(Job):
    """The scores of all layers of one network."""

    stage = "explore"

    def __init__(self, spec: SensitivitySpec, execution: Execution, began: Instant) -> None:
        super().__init__(execution.sensitivities / spec.identifier, spec, execution, began)
        self.spec = spec
        self.found = SensitivityScores([])
        self.images: int | None = None

    def score(self) -> None:
        """Score the layers."""
        spec, execution = self.spec, self.execution
        trained = load_trained(
            spec.run, execution.runs, execution.data, execution.device, spec.identifier, spec.epoch
        )
        plugin = registry.create("sensitivities", spec.sensitivity.name, spec.sensitivity.options)
        modules = [type(plugin).__module__, *trained.parts.modules]
        self.identify(self.facts(modules, trained.parts.data_facts(execution.data)))
        self.images = images_seen(spec, trained.dataset.size("train"))
        with self.clock.phase("evaluate"):
            self.found = scored(plugin, trained, spec)

    def write(self) -> tuple[str]:
        write_scores(self.folder, self.found.scores)
        return (NAME,)

    def result(self) -> ScoringResult:
        return ScoringResult(
            identifier=self.spec.identifier,
            time_s=self.clock.read()["evaluate"],
            images=self.images,
            facts=dict(self.found.facts),
            **self.ending(),
        )


def run_scoring(spec: SensitivitySpec, execution: Execution, began: Instant) -> None:
    """Write ``scores.csv`` and ``result.json`` of ``spec``; see ``bitswitch.stages.score``."""
    with ScoringJob(spec, execution, began) as job:
        job.score()


def images_seen(spec: SensitivitySpec, train: int) -> int:
    """Return how many of ``train`` images are seen: an epoch of whole batches at most."""
    size = min(BATCH_SIZE, train)
    return min(spec.examples, train // size * size)


def scored(plugin: Sensitivity, trained: Trained, spec: SensitivitySpec) -> SensitivityScores:
    """Return what ``plugin`` finds out about a trained network.

    Raises:
        PluginError: it raised an error.
    """
    model, dataset = trained.model, trained.dataset

    def batches() -> Iterator[Batch]:
        left = spec.examples
        size = min(BATCH_SIZE, dataset.size("train"))
        for batch in dataset.train_batches(size, Stream("sensitivity"), spec.seed, skip=0):
            if left <= 0:
                return
            yield Batch(*(part[:left] for part in batch))
            left -= len(batch.targets)

    subject = ScoringInput(
        model,
        spec.bitset,
        batches,
        generator("sensitivity", spec.seed),
        trained.parts.dataset.task,
    )
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
