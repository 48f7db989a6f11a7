import json

import pytest

from bitswitch import plan, stages, store
from bitswitch.suite import load_suite, suite_path


@pytest.fixture(autouse=True)
def measured(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "FOLDER", tmp_path)
    monkeypatch.setattr(stages, "measure_step", lambda run, device: 0.25)


@pytest.mark.parametrize("name", ["smoke", "mini", "cifar10", "paper"])
def test_every_shipped_suite_is_costed(name):
    suite = load_suite(suite_path(name))
    made = plan.make(suite, "cpu")
    assert set(made.runs) == set(suite.runs)
    assert set(made.parts) == set(suite.experiments)
    assert all(min(cost[1:]) > 0 for cost in made.runs.values())
    untrained = {suite.runs[key].method.name for key, cost in made.runs.items() if not cost.steps}
    assert untrained == {"ptmq"}


def test_a_run_of_several_tables_is_counted_once():
    made = plan.make(load_suite(suite_path("mini")), "cpu")
    assert sum(part.cost.steps for part in made.parts.values()) > made.total.steps
    assert made.total.steps == sum(cost.steps for cost in made.runs.values())
    assert any(part.shared for part in made.parts.values())


def test_shared_starts_are_counted():
    suite = load_suite(suite_path("mini"))
    made = plan.make(suite, "cpu")
    assert sum(made.starts.values()) == sum(run.start is not None for run in suite.runs.values())


def test_the_plan_is_json():
    made = plan.make(load_suite(suite_path("smoke")), "cpu")
    content = json.loads(json.dumps(made.as_json()))
    assert content["wall_time_s"] == pytest.approx(made.total.time_s / made.slots)


def test_the_text_names_tables_totals_and_assumptions():
    made = plan.make(load_suite(suite_path("paper")), "cpu")
    text = plan.render(made)
    for part in made.parts.values():
        assert part.title in text
    assert "each run once" in text
    assert "GPU time is assumed" in text
    assert "resnet50 on imagenet" in text


def test_on_a_gpu_nothing_is_assumed(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    text = plan.render(plan.make(load_suite(suite_path("cifar10")), "cuda"))
    assert "assumed" not in text
    assert "few images" not in text
