"""Tests of ``bitswitch.report.tables.conditions``."""

from pathlib import Path

import pytest

from bitswitch.plugins import facts
from bitswitch.report.analysis.values import Values
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import Entry
from bitswitch.report.tables import conditions
from bitswitch.report.tables.conditions import Conditions
from bitswitch.suite.suite import Suite
from tests.report.conftest import make_shared, write_run


@pytest.fixture
def of(results: Path):
    """Return the conditions in a shared experiment on ResNet-18."""

    def build(name: str, **changes: object) -> Conditions:
        suite = make_shared(name, "resnet18")
        for run in suite.runs.values():
            write_run(run, results, **changes)
        values = Values(collect.collect(suite, results), name)
        return Conditions(values, values.networks[0])

    return build


def texts(entries: tuple[Entry, ...]) -> list[str]:
    return [entry.text for entry in entries]


def test_printed_rows_say_what_is_printed(of):
    table1 = of("table1")
    assert texts(table1.published("coquant-kd")) == ["yes", "8", "100", "own"]
    assert texts(table1.published("hot-swap")) == ["no", "32", "", "own"]


def test_reproduced_rows_say_what_they_need(of):
    table1 = of("table1")
    assert texts(table1.reproduced("kure")) == ["no", "32", "3", "equal"]
    assert texts(table1.reproduced("double-rounding-kd")) == ["yes", "8", "3", "equal"]


def test_a_row_stores_what_its_options_need(of, monkeypatch):
    unshared = {"weight_scales": "unshared"}
    kept = {False: "codes", True: "floats"}
    monkeypatch.setattr(facts, "storage", lambda run: kept[run.method.options == unshared])
    components = of("components")
    assert texts(components.reproduced("hasb"))[1] == "32"
    assert texts(components.reproduced("double-rounding-hasb"))[1] == "8"


def test_tables_are_kept_besides_labels(of, monkeypatch):
    monkeypatch.setattr(facts, "storage", lambda run: "tables")
    assert texts(of("table1").reproduced("kure"))[1] == "8 and tables"


def test_separate_trainings_need_a_model_each(of):
    table6 = of("table6")
    assert texts(table6.published("lsq")) == ["no", "8+6+4+2", "90", "own"]
    assert texts(table6.reproduced("lsq")) == ["no", "8+6+4+2", "3", "equal"]
    assert texts(table6.reproduced("double-rounding")) == ["no", "8", "3", "equal"]


def test_a_method_without_steps_has_no_epochs(of):
    assert texts(of("baselines", steps=0).reproduced("ptmq"))[2] == "0"


def test_oddities_of_the_print_are_remarks(of):
    table2 = of("table2")
    assert table2.remark("q-dnn-kd").startswith("printed as Q-DNNs")
    assert table2.remark("abn-kd") == ""


def test_a_row_that_was_not_run_says_nothing(of):
    assert texts(of("table1").reproduced("hot-swap")) == ["", "", "", ""]


def test_only_comparisons_of_methods_or_recipes_have_conditions(suite: Suite, folder: Path):
    assert not conditions.applies(Values(Frames.read(folder), "alrs"))


def test_distillation_of_the_network_counts(suite: Suite):
    network = suite.networks["resnet20"]
    variant = suite.experiments["alrs"].variants["with-alrs"]
    assert not conditions.is_distilled(variant, network)
    training = network.training.model_copy(update={"distillation": "neighbour"})
    assert conditions.is_distilled(variant, network.model_copy(update={"training": training}))
    assert not conditions.is_distilled(variant, None)
