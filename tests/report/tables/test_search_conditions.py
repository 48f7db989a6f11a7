"""Tests of ``bitswitch.report.tables.search_conditions``, and of sub-nets in accuracy tables."""

from pathlib import Path

import pytest

from bitswitch.report.analysis.values import Place, Values
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.collect.published import Setup
from bitswitch.report.render.table import DASH, Line, Table
from bitswitch.report.tables import accuracy_table, search_conditions
from bitswitch.report.tables.accuracy_section import UNIFORM
from bitswitch.report.tables.search_conditions import SearchConditions
from bitswitch.suite.variants import VariantSpec
from tests.report.conftest import SHARED, make_shared
from tests.report.mixed import write_all

VARIANTS = {
    key: VariantSpec.model_validate(variant)
    for key, variant in SHARED["table3"]["variants"].items()
}


@pytest.fixture(scope="module")
def values(mixed_frames: Frames) -> Values:
    return Values(mixed_frames, "search-comparison")


@pytest.fixture
def table3(results: Path) -> Table:
    """Table 3 on ResNet-18, as if it had been run at published scale."""
    suite = make_shared("table3", "resnet18")
    write_all(suite, results)
    return accuracy_table.build(collect.collect(suite, results), "table3", "table3")


def test_rows_say_what_found_their_subnet_and_what_it_took(values: Values):
    found = SearchConditions(values, values.networks[0])
    training, search, tuned = found.reproduced("ilp")
    assert training.text == "3.5 min"  # with the network that it starts from, and its traces
    assert (search.text, search.below) == ("ilp", "4 s")
    assert (tuned.text, tuned.below) == ("3", "4 s")
    assert found.reproduced("random")[1].below == "1.5 s, 5"  # it reads no scores
    assert found.reproduced("random")[2].text == "no"


def test_printed_rows_say_search_and_tuning():
    setup = Setup(note="training LRH; search genetic; fine-tuned")
    assert (setup.search, setup.tuned) == ("genetic", "yes")
    assert Setup(note="training HASB; search ILP; no fine-tune").tuned == "no"
    assert (Setup().search, Setup().tuned) == ("", "")


def test_experiments_without_a_search_have_no_such_columns(folder: Path):
    assert not search_conditions.applies(Values(Frames.read(folder), "alrs"))


def test_several_searches_of_a_network_count_as_one_seed(values: Values):
    samples = values.samples["resnet20"]
    sample = samples[Place("random", "{8,6,4,2}", "4MP")]
    assert sorted(sample.values) == [0, 1]


def test_a_subnet_that_was_trained_on_counts_after_that(values: Values):
    rows = values.frames.metrics
    rows = rows[
        (rows.variant == "ilp") & (rows.policy == "average-bits-4") & (rows.split == "test")
    ]
    expected = rows[(rows.metric == "top1_retrained") & (rows.seed == 0)].value.iloc[0]
    assert values.samples["resnet20"][Place("ilp", "{8,6,4,2}", "4MP")].values[0] == expected


def test_table_3_has_the_printed_layout(table3: Table):
    resnet18, resnet50 = table3.sections
    assert resnet18.groups[0].columns == (
        *("KD", "stored", "epochs", "recipe"),
        *search_conditions.COLUMNS,
    )
    assert resnet18.groups[1].columns == ("w4a4", "w3a3", "w2a2", "3MP")
    labels = [line.label for line in resnet18.lines if line.label]
    ours = [variant.title for variant in VARIANTS.values() if variant.method.name == "hasb"]
    assert labels == [*ours[:3], "Bit-Mixer", "ABN", "MultiQuant", "EQ-Net", *ours[3:]]
    assert resnet50.about.endswith("not in this suite")
    printed = resnet18.lines[0].entries
    assert [entry.text for entry in printed[7:]] == ["69.80", "68.63", "64.88", "68.85", "69.76"]
    assert [entry.text for entry in printed[4:7]] == ["", "ILP", "no"]


def test_only_what_the_publication_did_stands_beside_its_subnets():
    beside = {
        key: variant
        for key, variant in VARIANTS.items()
        if "double-rounding" in (variant.published or "")
    }
    assert len(beside) == 4
    for variant in beside.values():
        assert variant.search is not None
        assert variant.search.scores is not None
        options = variant.search.search.options
        assert options["objective"] in ("as-printed", "sign-fixed")
        assert options["budget_kind"] == "exact"
        assert variant.search.scores.sensitivity.name == "hessian-trace"
        assert not variant.search.recalibration
        assert variant.search.retraining is None
    objectives = [
        variant.search.search.options["objective"] for variant in beside.values() if variant.search
    ]
    assert objectives == ["as-printed", "sign-fixed"] * 2


def test_our_searches_read_the_errors_of_inputs_and_baselines_what_they_publish():
    def operands(experiment: str, key: str) -> str:
        sensitivity = SHARED[experiment]["variants"][key]["search"]["scores"]["sensitivity"]
        options = {} if isinstance(sensitivity, str) else sensitivity["options"]
        return str(options.get("operands", "weights"))

    for experiment in ("fronts", "limited-share"):
        variants = SHARED[experiment]["variants"]
        assert {operands(experiment, key) for key in variants} == {"inputs"}
    assert operands("mobilenetv2-mixed", "hasb") == "inputs"
    assert operands("table3", "double-rounding-hasb-inputs") == "inputs"
    read = {key: operands("search-comparison", key) for key in ("ilp", "ilp-weights", "ilp-both")}
    assert read == {"ilp": "inputs", "ilp-weights": "weights", "ilp-both": "both"}
    assert operands("search-comparison", "hawq-v2") == "weights"


def rows_of(table: Table, key: str, nth: int = 0) -> dict[str, Line]:
    """Return the rows of the nth variant of this title in the first section, by kind."""
    lines = list(table.sections[0].lines)
    first = [at for at, line in enumerate(lines) if line.label == VARIANTS[key].title][nth]
    ends = [at for at, line in enumerate(lines) if line.label and at > first]
    return {line.kind: line for line in lines[first : min(ends, default=len(lines))]}


def test_both_signs_of_the_objective_are_set_against_one_printed_row(table3: Table):
    printed = rows_of(table3, "double-rounding-hasb")
    fixed = rows_of(table3, "double-rounding-hasb-sign-fixed")
    assert {"published", "reproduced", "difference"} <= printed.keys()
    assert "difference" in fixed
    assert not {"published", "effect, published"} & fixed.keys()
    for rows in (printed, fixed):
        measured, away = (rows[kind].entries[10].text for kind in ("reproduced", "difference"))
        assert float(measured) - 68.85 == pytest.approx(float(away.replace("\N{MINUS SIGN}", "-")))


def test_the_search_of_our_own_stands_beside_nothing(table3: Table):
    for nth in (0, 1):
        own = rows_of(table3, "double-rounding-hasb-inputs", nth)
        assert not {"published", "difference"} & own.keys()
        assert own["reproduced"].entries[10].text


def test_one_bit_width_within_the_budget_stands_below_every_subnet(table3: Table):
    for key in ("double-rounding-hasb", "bit-mixer-kd"):
        below = rows_of(table3, key)[UNIFORM].entries
        assert [bool(entry.text) for entry in below[7:11]] == [False, False, False, True]
    assert accuracy_table.NOTES["uniform"].format(examples="images") in table3.notes


def test_table_3_sets_subnets_beside_the_printed_ones(table3: Table):
    lines = table3.sections[0].lines
    reproduced = lines[1]
    assert reproduced.kind == "reproduced"
    assert reproduced.entries[10].text
    assert reproduced.entries[10].below.endswith("(3)")


def test_table_3_without_runs_is_dashes(results: Path):
    suite = make_shared("table3", "resnet18")
    table = accuracy_table.build(collect.collect(suite, results), "table3", "table3")
    line = next(line for line in table.sections[0].lines if line.kind == "reproduced")
    assert [entry.text for entry in line.entries[7:11]] == [DASH] * 4
    assert "not run to the end" in dict(table.footnotes)[line.entries[10].marks[0]]
