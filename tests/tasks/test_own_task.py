"""A dataset of a stranger with a task of its own: ordinal regression, lower is better."""

import sys
from importlib import import_module
from importlib.metadata import EntryPoint

import pytest
import torch

from bitswitch.errors import EncodingError, Interrupted, SpecError
from bitswitch.plugins import facts, registry
from bitswitch.plugins.resolve import resolved
from bitswitch.results.files import read_lines
from bitswitch.results.policies import PolicyFile
from bitswitch.results.records import Result
from bitswitch.runtime import cache
from bitswitch.spec.run import Choice, RunSpec, SensitivitySpec
from bitswitch.spec.search import SearchSpec
from bitswitch.stages.execution import Execution
from bitswitch.stages.scoring_job import scored
from bitswitch.stages.search_job import run_search
from bitswitch.stages.training_job import run_job
from bitswitch.testing.datasets import DATASET_CHECKS
from bitswitch.testing.models import MODEL_CHECKS
from bitswitch.training.clock import Instant
from bitswitch.training.interruption import StopRequest
from bitswitch.training.trained import load_trained
from tests.workflow.test_stranger import TOP, blocks

HOW_TO = TOP / "docs" / "howto" / "add-a-task.md"
MODULE = "bitswitch_ratings"
DETERMINISTIC = ("metrics.jsonl", "correct.jsonl", "train.jsonl", "steps.jsonl")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Install what the how-to shows; return its module."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("package")
        (code,) = [one.content for one in blocks(HOW_TO) if one.language == "python"]
        (folder / f"{MODULE}.py").write_text(code)
        patch.syspath_prepend(folder)
        patch.setattr(cache, "FOLDER", folder / "cache")
        names = {"datasets": ("ratings", "Ratings"), "models": ("perceptron", "Perceptron")}
        installed = registry._installed

        def with_own(group):
            own = [names[group]] if group in names else []
            made = {n: EntryPoint(n, f"{MODULE}:{c}", f"bitswitch.{group}") for n, c in own}
            return {**installed(group), **made}

        patch.setattr(registry, "_installed", with_own)
        yield import_module(MODULE)
        del sys.modules[MODULE]


@pytest.fixture(scope="module")
def run(package):
    """Return a run of two epochs."""
    fields = {"method": "double-rounding", "model": "perceptron", "dataset": "ratings", "seed": 0}
    training = {"epochs": 2, "batch_size": 32, "learning_rate": 0.01}
    return resolved(RunSpec(**fields, bitset=(8, 4, 2), training=training))


@pytest.fixture(scope="module")
def execution(run, tmp_path_factory):
    """Return an execution whose folder holds the finished run."""
    data = tmp_path_factory.mktemp("data")
    registry.create("datasets", "ratings", {}).prepare(data)
    found = Execution(tmp_path_factory.mktemp("results"), data, torch.device("cpu"))
    run_job(run, found, Instant.now())
    return found


def test_its_facts_name_the_metric_and_its_direction(run):
    found = facts.dataset_facts("ratings", {})
    assert (found["metrics"][0]["name"], found["metrics"][0]["better"]) == ("mae", "lower")
    assert (found["chance"], found["chance_bound"], found["outputs"]) == (1.2, 1.2, 1)


def test_chance_is_the_error_of_the_median(package):
    targets = package.Ratings.example(package.Ratings, 4000, torch.Generator().manual_seed(2))[1]
    assert float((targets - targets.median()).abs().double().mean()) == pytest.approx(1.2, abs=0.05)


def test_dataset_and_model_pass_the_checks(run):
    dataset = registry.create("datasets", "ratings", {})
    for check in DATASET_CHECKS:
        check(dataset)
    for check in MODEL_CHECKS:
        check(registry.create("models", "perceptron", {}), dataset)


def test_training_is_recorded_by_the_task_s_metrics(run, execution):
    folder = execution.runs / run.run_id
    lines = read_lines(folder / "metrics.jsonl")
    assert {(one["metric"], one["unit"]) for one in lines} == {("mae", "stars"), ("loss", "1")}
    assert (folder / "correct.jsonl").read_text() == ""
    first, *_, last = (one["bits"]["8"] for one in read_lines(folder / "train.jsonl"))
    assert {"mae", "loss", "held_out_mae", "held_out_loss"} <= set(first)
    assert last["held_out_mae"] < first["held_out_mae"]
    tested = {
        one["policy"]: one for one in lines if (one["split"], one["metric"]) == ("test", "mae")
    }
    assert all(0 < one["noise"] < one["value"] for one in tested.values())
    status = "collapsed" if any(one["value"] >= 1.2 for one in tested.values()) else "complete"
    assert Result.read(folder / "result.json").status == status


def test_an_interrupted_run_ends_with_identical_numbers(run, execution, tmp_path, monkeypatch):
    calls, stops = [], 0

    def check(request):
        calls.append(request)
        if len(calls) % 5 == 0:
            raise Interrupted("now")

    monkeypatch.setattr(StopRequest, "check", check)
    parts = Execution(tmp_path, execution.data, torch.device("cpu"))
    while not (parts.runs / run.run_id / "result.json").exists():
        try:
            run_job(run, parts, Instant.now())
        except Interrupted:
            stops += 1
    assert stops >= 3
    for name in DETERMINISTIC:
        whole, other = (one.runs / run.run_id / name for one in (execution, parts))
        assert whole.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(("name", "options"), [("random", {}), ("greedy", {"measure": "headline"})])
def test_a_search_takes_the_policy_of_the_least_error(run, execution, name, options):
    options = registry.resolve("searches", name, options)
    budgets = ({"cost": "average-bits", "at_most": 6},)
    spec = SearchSpec(
        run=run, search=Choice(name=name, options=options), budgets=budgets, evaluations=12, seed=1
    )
    run_search(spec, execution, Instant.now())
    folder = execution.results / "searches" / spec.identifier
    (path,) = folder.glob("policies/*.json")
    policy = PolicyFile.read(path)
    evaluated = [one["mae"] for one in read_lines(next(folder.glob("evaluations-*.jsonl")))]
    assert str(policy.held_out).endswith(" stars")
    if name == "random":
        assert policy.objective == min(evaluated) == policy.held_out.value
    else:
        assert policy.objective in evaluated


def test_what_needs_logits_says_so(run, execution):
    trained = load_trained(run, execution.runs, execution.data, execution.device, "a test")
    for estimator, refused in (("gauss-newton", True), ("hutchinson", False)):
        options = registry.resolve("sensitivities", "hessian-trace", {"estimator": estimator})
        choice = Choice(name="hessian-trace", options=options)
        spec = SensitivitySpec(run=run, sensitivity=choice, bitset=run.bitset, examples=32, seed=0)
        plugin = registry.create("sensitivities", choice.name, choice.options)
        if refused:
            with pytest.raises(SpecError, match="Gauss-Newton traces needs a task that classifies"):
                scored(plugin, trained, spec)
        else:
            assert len(scored(plugin, trained, spec).scores) == 2


def test_its_network_cannot_be_exported(run, execution, tmp_path):
    from bitswitch.deployment.export import export

    with pytest.raises(EncodingError, match="of logits"):
        export(run, execution.runs, tmp_path / "file")
