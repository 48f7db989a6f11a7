"""What a suite says of training, and what it leaves out."""

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from bitswitch.errors import SpecError
from bitswitch.plugins import facts
from bitswitch.plugins.resolve import read_run
from bitswitch.spec.search import SearchSpec
from bitswitch.spec.training import TrainingSpec
from bitswitch.suite.suite import load_suite, suite_path
from bitswitch.suite.variants import VariantSpec

ALRS = {"update": "separate", "alrs": {}}
NETWORK = {
    "title": "Net",
    "published": "none",
    "model": "resnet8",
    "dataset": "digits",
    "recipe": "imagenet",
    "bitsets": [[8, 4]],
    "float_training": {"epochs": 2, "batch_size": 64, "learning_rate": 5e-4},
    "training": {"epochs": 3, "batch_size": 64, "learning_rate": 5e-4},
}


@pytest.fixture
def runs_of(tmp_path):
    """Return a function that expands variants on one network, and gives their runs by name."""

    def load(variants, **training):
        network = {**NETWORK, "training": NETWORK["training"] | training}
        named = {name: {"title": name, **variant} for name, variant in variants.items()}
        one = {"title": "One", "networks": ["net"], "variants": named}
        content = {"name": "small", "title": "small", "data": "embedded", "seeds": [0]}
        path = tmp_path / "small.yaml"
        suite = {**content, "networks": {"net": network}, "experiments": {"one": one}}
        path.write_text(yaml.safe_dump(suite))
        return {cell.variant: cell.run for cell in load_suite(path).cells}

    return load


@pytest.mark.parametrize("method", ["double-rounding", "adabits", "ptmq", "dorefa"])
def test_a_suite_that_says_nothing_of_a_recipe_gets_none(runs_of, method):
    training = runs_of({"only": {"method": method}})["only"].training
    assert training.alrs is None
    assert training.update == "conventional"
    assert training.distillation == "none"
    assert training.weight_decay == 0
    assert not training.record_scale_gradients


def test_any_method_with_learned_scales_can_be_given_alrs(runs_of):
    grouped = {"name": "double-rounding", "options": {"weight_granularity": "per-group-96"}}
    methods = {
        "grouped": grouped,
        **{name: name for name in ("double-rounding", "adabits", "hasb")},
    }
    variants = {name: {"method": method, "training": ALRS} for name, method in methods.items()}
    runs = runs_of(variants)
    assert {run.training.alrs.variant for run in runs.values()} == {"relative"}


def test_a_variant_undoes_what_its_network_says(runs_of):
    undone = {"training": {"update": "conventional", "alrs": None}}
    runs = runs_of({"with": {}, "without": {"training": {"alrs": None}}, "both": undone}, **ALRS)
    assert runs["with"].training.alrs is not None
    assert runs["without"].training.alrs is runs["both"].training.alrs is None
    assert runs["without"].training.update == "separate"
    assert runs["both"].training.update == "conventional"


def test_a_published_recipe_means_none_of_what_the_network_says_of_bit_widths(runs_of):
    preset = {"preset": "published-recipe"}
    variants = {name: {"method": name, **preset} for name in ("adabits", "double-rounding")}
    runs = runs_of(variants, **ALRS, distillation="neighbour", clip_value=0.5)
    other, ours = runs["adabits"].training, runs["double-rounding"].training
    assert (other.update, other.alrs, other.distillation) == ("conventional", None, "none")
    assert (ours.update, ours.alrs.variant) == ("separate", "relative")
    assert other.clip_value == 0.5


@pytest.mark.parametrize("method", ["dorefa", "q-dnn"])
def test_alrs_without_learned_scales_is_refused(runs_of, method):
    message = (
        rf"training\.alrs: method '{method}' has no learned scales.*[Ll]eave training\.alrs out"
    )
    with pytest.raises(SpecError, match=message):
        runs_of({"only": {"method": method, "training": ALRS}})


def test_alrs_of_a_float_network_is_refused(tiny_run):
    with pytest.raises(SpecError, match="'float32' has no learned scales"):
        tiny_run(bitset=(32,), **ALRS)


def test_alrs_in_retraining_is_checked_like_that_of_training(runs_of):
    retraining = {"epochs": 1, **ALRS}
    search = {"search": "uniform", "budgets": [{"cost": "average-bits", "at_most": 4}]}
    with pytest.raises(SpecError, match=r"retraining\.alrs: method 'dorefa' has no learned"):
        runs_of({"only": {"method": "dorefa", "search": {**search, "retraining": retraining}}})
    fields = {"run": runs_of({"only": {}})["only"], **search}
    retraining = {
        "epochs": 1,
        "batch_size": 8,
        "learning_rate": 5e-4,
        "update": "separate",
        "alrs": {"factors": {8: 1}},
    }
    with pytest.raises(ValueError, match=r"retraining\.alrs\.factors: no factor for bit-width 4"):
        SearchSpec.model_validate({**fields, "retraining": retraining})


def test_conventional_training_with_alrs_is_refused(runs_of):
    with pytest.raises(SpecError, match=r"training\.alrs needs an update per bit-width.*to null"):
        runs_of({"only": {"training": {"alrs": {}}}})


def test_no_method_brings_the_recipe_of_another():
    for run in load_suite(suite_path("mini")).runs.values():
        ours = facts.card(run.method.name)["source"] == "huang2025nearly"
        if run.is_float or not facts.learns_scales(run):
            assert run.training.alrs is None
            assert run.training.update == "conventional"
        assert ours or run.training.distillation == "none"


RECIPES = {
    ("alrs", "resnet20", "without-alrs"): ("separate", None, "none", True),
    ("alrs", "resnet20", "with-alrs"): ("separate", "relative", "none", False),
    ("separate", "resnet20", "separate"): ("conventional", None, "none", False),
    ("table1", "resnet8", "adabits"): ("conventional", None, "none", False),
    ("table1", "resnet8", "double-rounding-kd"): ("separate", "relative", "neighbour", False),
    ("table6", "resnet8", "lsq"): ("conventional", None, "none", False),
    ("published-recipes", "resnet8", "any-precision-kd"): ("conventional", None, "none", False),
    ("other-methods-alrs", "resnet8", "adabits"): ("separate", None, "none", True),
    ("other-methods-alrs", "resnet8", "adabits-alrs"): ("separate", "relative", "none", False),
    ("conventional-rate", "resnet8", "conventional-2"): ("conventional", None, "none", False),
    ("conventional-rate", "resnet8", "separate-1"): ("separate", None, "none", True),
    ("readings", "resnet8", "literal"): ("separate", "literal", "none", False),
    ("as-released", "resnet8", "released-kd"): ("separate", "factor-only", "ps-kd", False),
    ("fronts", "resnet8", "hasb-eight-to-two"): ("separate", "relative", "none", False),
    ("trace-stability", "resnet8", "double-rounding"): ("separate", "relative", "none", False),
    ("deployment", "resnet8", "double-rounding"): ("separate", "relative", "none", False),
}


def test_rows_of_the_tables_keep_their_recipes():
    cells = load_suite(suite_path("mini")).cells
    found = {(c.experiment, c.network, c.variant): c.run.training for c in cells}

    def said(training: TrainingSpec):
        variant = training.alrs and training.alrs.variant
        recorded = training.record_scale_gradients
        return training.update, variant, training.distillation, recorded

    assert {key: said(found[key]) for key in RECIPES} == RECIPES


def test_the_rows_of_a_figure_of_gradients_record_them():
    for cell in load_suite(suite_path("mini")).cells:
        if cell.experiment in ("alrs", "scale-gradient-sizes"):
            training = cell.run.training
            assert training.record_scale_gradients or training.alrs is not None


def test_a_run_of_before_is_told_what_its_keys_are_called_now(tmp_path, tiny_run):
    path, fields = tmp_path / "spec.yaml", tiny_run().model_dump(mode="json")
    fields["training"]["alrs"] = {"reading": "relative", "factors": None, "target": "scales"}
    path.write_text(yaml.safe_dump(fields))
    with pytest.raises(SpecError, match=r"training\.alrs\.reading.*variant"):
        read_run(path)


def test_off_is_said_by_leaving_alrs_out(runs_of):
    with pytest.raises(SpecError, match=r"alrs\.variant: leave alrs out, or write alrs: null"):
        runs_of({"only": {"training": {"update": "separate", "alrs": {"variant": "off"}}}})


def test_documents_name_presets_that_there_are():
    top = Path(__file__).parents[2]
    documents = [top / "README.md", *(top / "docs").rglob("*.md")]
    texts = "\n".join(document.read_text() for document in documents)
    named = re.findall(r"preset(?:: | `)([a-z_-]+)", texts)
    assert "published-recipe" in named
    assert set(named) <= set(get_args(VariantSpec.model_fields["preset"].annotation))
