"""Tests of ``bitswitch.report.collect.published``: the transcription and the recomputed claims."""

import pytest

from bitswitch.errors import ReportError
from bitswitch.report.collect import published
from tests.report.conftest import TOP1


def test_no_printed_number_is_lost():
    rows = published.accuracy()
    assert rows.groupby("table").size().to_dict() == {
        "rebuttal-limpq": 1,
        "table1": 75,
        "table2": 36,
        "table3": 36,
        "table4": 56,
        "table6": 16,
    }
    assert len(published.costs()) == 9
    assert len(published.claims()) == 40


def test_sums_per_table_are_those_of_the_transcription():
    sums = published.accuracy().groupby("table").value.sum().round(2).to_dict()
    assert sums == {
        "rebuttal-limpq": 69.70,
        "table1": 5231.01,
        "table2": 2541.57,
        "table3": 2537.10,
        "table4": 4224.10,
        "table6": 1153.67,
    }
    costs = published.costs()
    assert costs.avg_hours.sum() == pytest.approx(186.0)
    assert costs.save_cost_percent.sum() == pytest.approx(136.0)


MARGINS = {name: one for name, one in published.claims().items() if one.kind == "margin"}


@pytest.mark.parametrize("name", sorted(set(MARGINS) - {"C23", "C24"}))
def test_margins_follow_from_the_tables(name: str):
    assert published.margin(MARGINS[name]) == MARGINS[name].printed
    assert published.contradiction(MARGINS[name]) is None


def test_a_contradiction_names_both_numbers():
    said = "the text says 7.07 points, its tables give 7.02"
    assert published.contradiction(MARGINS["C23"]) == said


def test_only_claims_about_two_printed_numbers_have_a_margin():
    claims = published.claims()
    with_one = {name for name, one in claims.items() if published.margin(one) is not None}
    assert with_one == {f"C{number:02}" for number in range(1, 26)}


def test_noise_of_the_published_test_sets():
    assert published.noise(93, 10_000) == pytest.approx(0.50, abs=0.005)
    assert published.noise(70, 50_000) == pytest.approx(0.40, abs=0.005)


def test_printed_values_are_those_of_classification():
    assert published.metric() == TOP1


def test_an_ambiguous_place_is_an_error():
    with pytest.raises(ReportError, match="2 printed numbers"):
        published.value("table1/mobilenetv2/double-rounding/kd=1/w8a8")


def test_tidy_rows_hold_full_precision_once_per_row():
    rows = published.tidy()
    fp = rows[(rows.experiment == "table4") & (rows.bitset == "FP")]
    assert fp.groupby("model").value.agg(["size", "first"]).to_dict("index") == {
        "mobilenetv2": {"size": 2, "first": 71.14},
        "resnet18": {"size": 2, "first": 69.76},
        "resnet20": {"size": 2, "first": 92.30},
        "resnet50": {"size": 2, "first": 76.13},
    }


def test_rows_are_named_by_variant_or_by_method_and_distillation():
    rows = published.accuracy()
    names = published.names(rows)
    assert set(names[rows.table == "table4"]) == {"without-alrs", "with-alrs"}
    assert set(names[rows.table == "table6"]) == {"lsq", "lsq-plus", "double-rounding"}
    kd = names[(rows.table == "table1") & (rows.kd == 1)]
    assert set(kd) == {
        f"{method}{published.KD}"
        for method in ("any-precision", "coquant", "multiquant", "double-rounding")
    }


def test_setups_say_what_a_row_prints_besides_accuracies():
    setups = published.setups("table6")
    assert setups["resnet18", "lsq"].storage == "8+6+4+2"
    assert setups["resnet18", "lsq"].epochs == "90"
    assert published.setups("table1")["resnet18", "hot-swap"].epochs == ""
    assert published.setups(None) == {}
