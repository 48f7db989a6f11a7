"""Tests of ``bitswitch.report.tables.searched.search_table``."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import pytest

from bitswitch.report.analysis import health, subnets
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import DASH, Entry, Line, Table
from bitswitch.report.tables.searched import search_table
from bitswitch.suite.suite import Suite
from tests.report.mixed import make_mixed, write_run, write_scoring, write_search


@pytest.fixture
def frames(mixed_frames: Frames) -> Frames:
    return mixed_frames


@pytest.fixture(scope="module")
def table(mixed_frames: Frames) -> Table:
    return search_table.build(mixed_frames, "search-comparison", "searches")


def trained_and_scored(results: Path) -> Suite:
    """Return a suite all of whose results are written but those of its searches."""
    suite = make_mixed("search-comparison")
    for run in suite.runs.values():
        write_run(run, results)
    for scoring in suite.sensitivities.values():
        write_scoring(scoring, results)
    return suite


def cell(table: Table, line: Line, name: str) -> Entry:
    names = [name for group in table.sections[0].groups for name in group.columns]
    return line.entries[names.index(name)]


def test_variants_stand_side_by_side_within_each_budget(table: Table):
    (section,) = table.sections
    assert section.title == "ResNet-20, {8,6,4,2}"
    assert [line.label for line in section.lines if line.label] == [
        "average bits ≤ 4",
        "BitOps ≤ w6a6",
    ]
    assert [line.kind for line in section.lines] == ["ILP", "random", "greedy"] * 2


def test_layers_that_a_network_keeps_float_are_named(frames: Frames):
    networks = frames.suite.networks
    changed = {k: v.model_copy(update={"keep": ("stages.0.*",)}) for k, v in networks.items()}
    suite = frames.suite.model_copy(update={"networks": changed})
    table = search_table.build(replace(frames, suite=suite), "search-comparison", "searches")
    assert "ResNet-20 keeps stages.0.* at full precision." in table.notes


def test_every_pair_of_training_and_search_counts(table: Table, frames: Frames):
    line = next(line for line in table.sections[0].lines if line.kind == "random")
    found = subnets.of_experiment(frames, "search-comparison")
    values = found[(found.variant == "random") & (found.budget == "average-bits-4")].headline
    assert cell(table, line, "found").text == f"{fmean(values):.2f}"
    assert cell(table, line, "found").below == f"±{stdev(values):.2f} (4)"


def test_only_the_best_of_a_budget_is_bold(table: Table):
    first = table.sections[0].lines[:3]
    assert [cell(table, line, "found").bold for line in first] == [True, False, False]


def test_searches_without_retraining_leave_its_column_empty(table: Table):
    first = table.sections[0].lines[:3]
    assert [bool(cell(table, line, "tuned").text) for line in first] == [True, False, False]
    tuning = [cell(table, line, "tuning") for line in first]
    assert [(one.text, one.below) for one in tuning] == [("4 s", "3"), ("", ""), ("", "")]


def test_a_search_says_how_many_subnets_it_evaluated(table: Table):
    first = table.sections[0].lines[:3]
    assert [cell(table, line, "search").below for line in first] == ["", "5", ""]


def test_one_bit_width_of_the_same_cost_stands_beside_every_sub_net(table: Table, frames: Frames):
    found = subnets.of_experiment(frames, "search-comparison")
    for line in table.sections[0].lines[:3]:
        variant = {"ILP": "ilp", "random": "random", "greedy": "greedy"}[line.kind]
        rows = found[(found.variant == variant) & (found.budget == "average-bits-4")]
        beside = cell(table, line, "one width")
        assert (beside.text, beside.below) == (f"{fmean(rows.headline_uniform):.2f}", "w4a4")
        assert not beside.marks


def test_one_bit_width_that_costs_less_than_the_budget_is_said_to(frames: Frames):
    table = search_table.build(frames, "fronts", "f")
    narrow = table.sections[1].lines
    cheaper = {
        line.label: [dict(table.footnotes)[mark] for mark in cell(table, line, "one width").marks]
        for line in narrow
        if line.label
    }
    assert cheaper == {
        "average bits ≤ 2.5": [search_table.CHEAPER],
        "average bits ≤ 3": [],
        "average bits ≤ 3.5": [search_table.CHEAPER],
    }


def test_columns_that_no_search_fills_are_left_out(frames: Frames):
    (group, costs, _) = search_table.build(frames, "fronts", "f").sections[0].groups
    assert group.columns == ("found", "one width")
    assert "ms" not in costs.columns


def test_a_column_stays_where_all_of_it_collapsed(frames: Frames):
    metrics = frames.metrics.copy()
    metrics.loc[metrics.metric == "top1_retrained", "status"] = "collapsed"
    changed = replace(frames, metrics=metrics)
    table = search_table.build(changed, "search-comparison", "searches")
    assert cell(table, table.sections[0].lines[0], "tuned").text == DASH


def test_budgets_are_those_of_the_bit_set(frames: Frames):
    sections = search_table.build(frames, "fronts", "f").sections
    assert [section.title for section in sections] == ["ResNet-20, {8,6,4,2}", "ResNet-20, {4,3,2}"]
    assert len(sections[1].lines) == 6


def test_stamp_names_suite_and_scale(table: Table):
    assert table.stamp == (
        "suite tiny · embedded digits 16x16 · embedded data, not the published scale"
    )


def test_what_was_not_found_is_a_dash_with_its_reason(results: Path):
    suite = trained_and_scored(results)
    for search in suite.searches.values():
        if search.search.name == "greedy":
            write_search(search, results, status="diverged", diagnosis="its start diverged")
        elif search.search.name == "ilp":
            write_search(search, results)
    table = search_table.build(collect.collect(suite, results), "search-comparison", "s")
    _, random, greedy = table.sections[0].lines[:3]
    assert random.entries[0].text == greedy.entries[0].text == DASH
    notes = dict(table.footnotes)
    assert notes[random.entries[0].marks[0]] == "4 of 4 sub-nets missing: not run to the end"
    assert notes[greedy.entries[0].marks[0]] == "2 of 2 sub-nets diverged: its start diverged"
    assert not any(entry.text for entry in random.entries[1:7])


def test_a_budget_that_no_policy_meets_is_a_dash_beside_the_others(results: Path):
    suite = trained_and_scored(results)
    why = "No policy has average-bits of at most 1: the nearest budget that can be met is 2."
    for search in suite.searches.values():
        first = search.budgets[0].name
        infeasible = {first: why} if search.search.name == "ilp" else {}
        write_search(search, results, infeasible=infeasible)
    frames = collect.collect(suite, results)
    table = search_table.build(frames, "search-comparison", "s")
    dashes = [line for line in table.sections[0].lines if line.entries[0].text == DASH]
    assert [line.kind for line in dashes] == ["ILP"]
    note = dict(table.footnotes)[dashes[0].entries[0].marks[0]]
    assert f"{note}." == f"2 of 2 sub-nets infeasible: {why}"
    assert set(frames.policies.status) == {"complete", "infeasible"}
    assert "infeasible" in dict(health.summary(frames))["sub-nets, one per search and budget"]
