"""Tests of ``bitswitch.report.tables.effects``."""

from pathlib import Path

import pytest

from bitswitch.report.analysis.values import Values
from bitswitch.report.collect import collect
from bitswitch.report.tables.accuracy_grid import Grid
from bitswitch.report.tables.effects import Effects
from bitswitch.suite.suite import Suite
from tests.report.conftest import make_shared, write_run


def run_all(suite: Suite, results: Path) -> None:
    for run in suite.runs.values():
        write_run(run, results)


@pytest.fixture
def of(results: Path):
    """Return the effects in a shared experiment on ResNet-18."""

    def build(name: str) -> Effects:
        suite = make_shared(name, "resnet18")
        run_all(suite, results)
        values = Values(collect.collect(suite, results), name)
        return Effects(Grid(values, values.networks[0]))

    return build


def means(effects: Effects, variant: str) -> list[float | None]:
    return [None if one is None else round(one.mean, 2) for one in effects.reproduced(variant)]


def test_methods_of_different_publications_have_no_effect_on_each_other(of):
    effects = of("table1")
    for variant in ("hot-swap", "l1-regularization", "kure", "double-rounding", "multiquant-kd"):
        assert set(means(effects, variant)) == {None}
        assert not any(entry.text for entry in effects.published(variant))


def test_distillation_is_an_effect_on_the_same_method(of):
    texts = [entry.text for entry in of("table1").published("double-rounding-kd")]
    assert texts == ["+0.13", "+0.08", "+0.10", "+0.49", ""]


def test_each_method_is_compared_with_itself_without_alrs(of):
    effects = of("other-methods-alrs")
    assert means(effects, "adabits") == [None] * 5
    assert means(effects, "adabits-alrs") == [0.3] * 4 + [None]
    assert means(effects, "double-rounding-alrs") == [0.3] * 4 + [None]


def test_components_stand_against_the_row_without_them(of):
    effects = of("components")
    assert means(effects, "none") == [None] * 5
    assert means(effects, "alrs") == [0.3] * 4 + [None]
    assert means(effects, "double-rounding") == [0.0] * 4 + [None]
    assert means(effects, "double-rounding-alrs-kd") == [0.3] * 4 + [None]


def test_recipes_do_not_mix(results: Path):
    suite = make_shared("table2", "resnet18")
    variants = suite.experiments["table2"].variants
    changed = variants["double-rounding-kd"].model_copy(update={"preset": "published-recipe"})
    frames = collect.collect(suite, results)
    values = Values(frames, "table2")
    values.recipe.variants["double-rounding-kd"] = changed
    effects = Effects(Grid(values, values.networks[0]))
    assert not any(entry.text for entry in effects.published("double-rounding-kd"))
