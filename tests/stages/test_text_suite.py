"""A stranger's text from a file of YAML to the tables of the report, in one process."""

import math

import pytest
import yaml

from bitswitch import stages
from bitswitch.planning import feasibility, plan, probe
from bitswitch.plugins import facts
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.tables import tables
from bitswitch.results.files import read_json, read_lines
from bitswitch.results.policies import PolicyFile
from bitswitch.runtime import cache
from bitswitch.suite.suite import load_suite

LINES = "Out, out, brief candle! Life's but a walking shadow, a poor player\n"
SIZE = {"width": 16, "ffn": 24, "blocks": 1, "heads": 2, "kv_heads": 1, "context": 16}
RECIPE = {"epochs": 2, "batch_size": 16, "learning_rate": 0.01, "optimizer": "adamw"}
PLAIN = {"update": "separate"}
FILES = {"train": 40, "held_out": 8, "test": 12}
"""Lines by split."""
WIDTHS = (8, 4, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("text suite")
        patch.setattr(cache, "FOLDER", folder / "cache")
        yield folder


@pytest.fixture(scope="module")
def suite(folder):
    for split, lines in FILES.items():
        (folder / f"{split}.txt").write_text(LINES * lines)
    files = {split: str(folder / f"{split}.txt") for split in FILES}
    network = {
        "title": "A tiny decoder",
        "published": "none",
        "model": {"name": "llama", "options": SIZE},
        "dataset": {"name": "text-files", "options": {**files, "context": 16}},
        "bitsets": [list(WIDTHS)],
        "float_training": RECIPE | {"epochs": 6},
        "training": RECIPE,
    }
    budget = [{"cost": "average-bits", "at_most": 4}]
    scores = {"sensitivity": "quantization-error", "examples": 16}
    search = {"search": "ilp", "budgets": budget, "scores": scores, "examples": 32}
    weights = {"method": {"name": "rtn"}, "float_inputs": "all"}
    experiments = {
        "joint": {
            "title": "Own text",
            "variants": {
                "joint": {"title": "Double Rounding", "training": PLAIN},
                "rtn": {"title": "no training", **weights},
            },
        },
        "searched": {
            "title": "Searched",
            "table": "search",
            "variants": {"ilp": {"title": "ILP", "training": PLAIN, "search": search}},
        },
    }
    content = {
        **{"name": "own", "title": "Own text", "data": "embedded", "seeds": [0]},
        "networks": {"decoder": network},
        "experiments": {
            name: {"networks": ["decoder"], **one} for name, one in experiments.items()
        },
    }
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_suite(path)


@pytest.fixture(scope="module")
def results(suite, folder):
    """Return the folder of all results, after every job has been carried out as planned."""
    feasibility.check(suite)
    results, data = folder / "results", folder / "data"
    for dataset in suite.datasets.values():
        stages.prepare(dataset, data)
    for run in sorted(suite.runs.values(), key=lambda run: run.start is not None):
        stages.train(run, results, data, "cpu")
    for scores in suite.sensitivities.values():
        stages.score(scores, results, data, "cpu")
    for search in suite.searches.values():
        stages.search(search, results, data, "cpu")
    return results


@pytest.fixture(scope="module")
def frames(suite, results):
    return Frames.read(collect.write(suite, results))


def on_test(run, results):
    """Return what a run says of the test split, by policy and metric."""
    lines = read_lines(results / "runs" / run.run_id / "metrics.jsonl")
    return {(one["policy"], one["metric"]): one["value"] for one in lines if one["split"] == "test"}


def of_method(suite, name):
    (run,) = (run for run in suite.runs.values() if run.method.name == name)
    return run


def test_a_plan_names_every_job_and_its_steps(suite, results, monkeypatch):
    monkeypatch.setattr(probe, "measure_step", lambda run, device: 0.01)
    made = plan.make(suite, "cpu")
    assert (len(made.runs), len(made.sensitivities), len(made.searches)) == (3, 1, 1)
    for key, cost in made.runs.items():
        assert cost.steps == read_json(results / "runs" / key / "result.json")["steps"]
    assert "train float32-llama-text-files-s0" in plan.render(made)


def test_runs_learn_the_text_and_are_judged_by_perplexity(suite, results):
    found, bound = on_test(of_method(suite, "double-rounding"), results), chance(suite)
    for bits in map(str, WIDTHS):
        assert 1 < found[bits, "perplexity"] < bound / 2
        assert found[bits, "bits_per_byte"] == pytest.approx(math.log2(found[bits, "perplexity"]))
    untrained = on_test(of_method(suite, "rtn"), results)
    start = on_test(of_method(suite, "float32"), results)
    assert untrained["8", "loss"] == pytest.approx(start["32", "loss"], abs=0.01)


def chance(suite):
    (dataset,) = suite.datasets.values()
    bound: float = facts.dataset_facts(dataset.name, dataset.options)["chance_bound"]
    return bound


def test_a_policy_that_was_found_says_the_same_when_it_is_evaluated_again(suite, results, folder):
    (search,) = suite.searches.values()
    (path,) = (results / "searches" / search.identifier).glob("policies/*.json")
    policy = PolicyFile.read(path)
    headline, *_ = stages.evaluate_policy(policy, "held_out", results, folder / "data", "cpu")
    assert (headline["name"], headline["better"]) == ("perplexity", "lower")
    assert headline["value"] == pytest.approx(policy.held_out.value, rel=1e-6)


def test_tables_show_perplexity_with_its_protocol_and_bits_per_byte(suite, results, frames):
    assert tables.names(suite) == ["joint", "searched"]
    table = tables.build(frames, "joint")
    assert any("shifted windows, context 16" in note for note in table.notes)
    (section,) = table.sections
    start = [line.label for line in section.lines].index("Double Rounding")
    found = on_test(of_method(suite, "double-rounding"), results)
    shown = (("reproduced", "perplexity"), ("bits per byte", "bits_per_byte"))
    for line, (kind, metric) in zip(section.lines[start:], shown, strict=False):
        assert line.kind == kind
        texts = {entry.text for entry in line.entries}
        assert {f"{found[str(bits), metric]:.3f}" for bits in WIDTHS} <= texts
    (searched,) = tables.build(frames, "searched").sections
    assert searched.lines[0].kind == "ILP"
    folder = results / suite.name
    for name in tables.names(suite):
        tables.write(name, folder, frames)
        for suffix in ("tex", "html"):
            assert "perplexity" in (folder / "tables" / f"{name}.{suffix}").read_text().lower()
