"""A sensitivity from its first file to its last."""

import math
from itertools import pairwise

import pytest
import torch

from bitswitch.contracts.sensitivity import Score, Sensitivity, SensitivityScores
from bitswitch.errors import CheckpointError, PluginError, SpecError
from bitswitch.plugins import registry
from bitswitch.plugins.resolve import resolved
from bitswitch.results.files import read_json
from bitswitch.results.result import write_result
from bitswitch.results.scores import read_scores
from bitswitch.spec.run import Choice, SensitivitySpec
from bitswitch.stages.execution import Execution
from bitswitch.stages.scoring_job import BATCH_SIZE, run_scoring
from bitswitch.stages.training_job import run_job
from bitswitch.training.clock import Instant
from bitswitch.types import FLOAT_BITS

FILES = {"spec.yaml", "scores.csv", "provenance.json", "result.json"}
LAYERS = 8
"""Switchable layers of ResNet-8."""


@pytest.fixture
def execution(tmp_path, tiny_data):
    return Execution(tmp_path, tiny_data, torch.device("cpu"))


@pytest.fixture
def score(execution):
    """Return a function that scores a run and returns its folder and result."""

    def score(run, sensitivity="quantization-error", epoch=0, bitset=(8, 4), **changes):
        spec = resolved(
            SensitivitySpec(sensitivity=sensitivity, run=run, epoch=epoch, bitset=bitset, **changes)
        )
        run_scoring(spec, execution, Instant.now())
        folder = execution.sensitivities / spec.identifier
        return folder, read_json(folder / "result.json"), read_scores(folder, spec)

    return score


@pytest.fixture
def watch(monkeypatch):
    """Return a function that puts a made-up sensitivity in the place of all."""

    def watch(score):
        class Watching(Sensitivity):
            def score(self, subject):
                return score(subject)

        monkeypatch.setattr(registry, "create", _instead(registry.create, Watching))

    return watch


def _instead(create, plugin):
    def made(group, name, options, *arguments):
        if group == "sensitivities":
            return plugin(plugin.Options())
        return create(group, name, options, *arguments)

    return made


def uniform(subject, value=1.0):
    return [Score(layer, "layer", None, value) for layer in subject.model.layers]


def test_it_leaves_scores_facts_and_where_they_come_from(score, tiny_run):
    folder, result, scores = score(tiny_run())
    assert {path.name for path in folder.iterdir()} == FILES
    assert (result["status"], result["diagnosis"]) == ("complete", None)
    assert result["identifier"] == folder.name
    assert result["time_s"] <= result["wall_time_s"]
    assert len({row.layer for row in scores.rows}) == LAYERS
    assert len(scores.rows) == LAYERS * 2
    assert "code_hash" in read_json(folder / "provenance.json")


def test_the_network_is_evaluated_at_full_precision(score, tiny_run, watch):
    seen = []

    def note(subject):
        layers = subject.model.layers.values()
        seen.append({layer.weight_switch.bits for layer in layers} | {subject.model.training})
        return SensitivityScores(uniform(subject), {"probes": 7})

    watch(note)
    _, result, _ = score(tiny_run())
    assert seen == [{FLOAT_BITS, False}]
    assert result["facts"] == {"probes": 7}


def test_batches_are_the_same_every_time_and_no_more_than_asked_for(score, tiny_run, watch):
    seen = []

    def note(subject):
        seen.append([list(subject.batches()) for _ in range(2)])
        return SensitivityScores(uniform(subject))

    watch(note)
    asked = ({"examples": 20}, {"examples": 10**6}, {"examples": 20, "seed": 1})
    results = [score(tiny_run(), **one)[1] for one in asked]
    few, all_of_them, others = seen
    for first, second in seen:
        assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(first, second, strict=True))
    assert [sum(len(batch.targets) for batch in one[0]) for one in seen] == [20, 48, 20]
    assert [result["images"] for result in results] == [20, 48, 20]
    assert all(len(batch.targets) <= BATCH_SIZE for batch in all_of_them[0])
    assert not torch.equal(few[0][0].inputs, others[0][0].inputs)


def test_random_numbers_are_those_of_the_seed(score, tiny_run, watch):
    drawn = []

    def draw(subject):
        drawn.append(float(torch.rand((), generator=subject.generator)))
        return SensitivityScores(uniform(subject))

    watch(draw)
    for seed in (0, 0, 1):
        score(tiny_run(), seed=seed)
    assert drawn[0] == drawn[1] != drawn[2]


def test_epochs_and_the_trained_network_are_scored(score, execution, tiny_run):
    run = tiny_run(epochs=3, snapshots=(1,))
    run_job(run, execution, Instant.now())
    found = [score(run, epoch=epoch)[2].rows for epoch in (0, 1, None)]
    for one, other in pairwise(found):
        assert [row[:3] for row in one] == [row[:3] for row in other]
        assert all(a.value != b.value for a, b in zip(one, other, strict=True))


def test_a_run_that_is_not_there_is_an_error(score, tiny_run):
    with pytest.raises(CheckpointError, match="not finished"):
        score(tiny_run(), epoch=None)


def test_a_diverged_run_has_no_scores(score, execution, tiny_run):
    run = tiny_run()
    run_job(run, execution, Instant.now())
    folder = execution.runs / run.run_id
    outcome = read_json(folder / "result.json") | {"status": "diverged", "diagnosis": "too fast"}
    write_result(folder, outcome, outcome["files"])
    _, result, scores = score(run, epoch=None)
    assert result["status"] == "diverged"
    assert "too fast" in result["diagnosis"]
    assert scores.rows == ()


def test_a_plugin_that_fails_is_named(score, tiny_run, watch):
    watch(lambda subject: 1 / 0)
    with pytest.raises(PluginError, match="sensitivity 'quantization-error' fails: ZeroDivision"):
        score(tiny_run())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda rows: rows[1:], r"scores no layer 'stages\.0\.0\.conv1' \(1 missing\)"),
        (lambda rows: [*rows, Score("fc9", "layer", 8, 1.0)], "'fc9', which is no switchable"),
        (lambda rows: [*rows, rows[0]._replace(value=math.nan)], "the score nan"),
        (lambda rows: [*rows, rows[0]._replace(value=math.inf)], "the score inf"),
    ],
)
def test_scores_that_no_search_can_use_are_refused(score, tiny_run, watch, broken, message):
    watch(lambda subject: SensitivityScores(broken(uniform(subject))))
    with pytest.raises(PluginError, match=message):
        score(tiny_run())


def test_a_refusal_of_the_plugin_reaches_the_user(score, tiny_run):
    run = tiny_run(alrs=None).model_copy(update={"method": Choice(name="dorefa")})
    with pytest.raises(SpecError, match="no learned scale for"):
        score(run, "step-size")
