"""Tests of ``bitswitch.report.tables.accuracy_table``."""

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from bitswitch.report.collect import collect, published
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.marks import INTERVAL, Mark
from bitswitch.report.render.table import Line, Section, Table
from bitswitch.report.tables import accuracy_table, conditions
from bitswitch.suite.suite import Suite
from tests.report.conftest import EXPERIMENTS, SHARED, make_shared, make_suite, write_run


@pytest.fixture
def table4(folder: Path) -> Table:
    return accuracy_table.build(Frames.read(folder), "alrs", "table4")


def line(section: Section, kind: str, label: str = "w. ALRS") -> Line:
    labels = [one.label for one in section.lines]
    after = section.lines[labels.index(label) :]
    return next(one for one in after if one.kind == kind)


def texts(found: Line) -> list[str]:
    return [entry.text for entry in found.entries]


def test_table_4_has_the_rows_and_columns_of_the_paper(table4: Table):
    assert [section.title for section in table4.sections] == [
        "ResNet-20",
        "ResNet-18",
        "ResNet-50",
        "MobileNetV2",
    ]
    groups = [[(g.title, g.columns) for g in section.groups] for section in table4.sections]
    eight = ("{8,6,4,2}", ("w8a8", "w6a6", "w4a4", "w2a2"))
    assert groups[0] == [eight, ("{4,3,2}", ("w4a4", "w3a3", "w2a2")), ("", ("FP",))]
    assert groups[3] == [eight, ("{8,6,4}", ("w8a8", "w6a6", "w4a4")), ("", ("FP",))]
    for section in table4.sections:
        assert [one.label for one in section.lines if one.label] == ["w/o ALRS", "w. ALRS"]


def test_every_printed_value_of_table_4_is_there(table4: Table):
    published = texts(line(table4.sections[0], "published"))
    assert published == ["92.25", "92.32", "92.09", "90.19", "91.79", "91.83", "88.88", "92.30"]
    assert texts(line(table4.sections[0], "effect, published"))[:4] == [
        "+0.08",
        "+0.12",
        "\N{MINUS SIGN}0.08",
        "+0.52",
    ]


def test_embedded_results_stand_beside_but_are_not_compared(table4: Table):
    assert "embedded data, not the published scale" in table4.stamp
    assert table4.sections[0].about == (
        "published: CIFAR-10 · reproduced: embedded digits 16x16 · embedded data: not comparable"
    )
    assert not any(one.kind == "difference" for s in table4.sections for one in s.lines)
    marks = [entry.mark for entry in line(table4.sections[0], "reproduced").entries]
    assert marks == [Mark("not comparable", "embedded data")] * 8
    assert "Beside printed values: ○ not comparable (embedded data)." in table4.legend
    assert any(note.startswith("Embedded data") for note in table4.notes)
    assert "rehearsal" not in " ".join(table4.notes)


def test_a_rehearsal_says_so_and_is_not_compared(suite: Suite, results: Path):
    noise = suite.model_copy(update={"data": "made-up"})
    for run in noise.runs.values():
        write_run(run, results)
    table = accuracy_table.build(collect.collect(noise, results), "alrs", "table4")
    assert "a rehearsal on noise, no results" in table.stamp
    assert "A rehearsal: every job ran for a few steps on noise." in " ".join(table.notes)
    marks = {entry.mark for entry in line(table.sections[0], "reproduced").entries}
    assert marks == {Mark("not comparable", "made-up data")}


def test_published_scale_is_compared(published_suite: Suite, results: Path):
    for run in published_suite.runs.values():
        write_run(run, results)
    frames = collect.collect(published_suite, results)
    table = accuracy_table.build(frames, "alrs", "table4")
    marks = {entry.mark for entry in line(table.sections[0], "reproduced").entries}
    assert marks <= {Mark("match"), Mark("higher"), Mark("lower")}
    assert any(entry.text for entry in line(table.sections[0], "difference").entries)
    assert any(note.startswith(INTERVAL) for note in table.legend)
    assert not any(word in " ".join(table.notes) for word in ("Embedded", "rehearsal"))
    assert "full scale" in table.stamp


def test_a_network_that_was_not_run_says_so(table4: Table):
    section = table4.sections[2]
    assert section.about == "published: ImageNet · reproduced: – not in this suite"  # noqa: RUF001
    assert {one.kind for one in section.lines} == {"published", "effect, published"}


def test_effects_at_three_seeds_are_not_testable(table4: Table):
    effects = line(table4.sections[0], "effect, reproduced")
    assert effects.entries[0].text == "+0.30"
    assert effects.entries[0].below.endswith("(3)")
    assert effects.entries[-1].text == ""
    notes = dict(table4.footnotes)
    assert [notes[mark][:12] for mark in effects.marks] == ["not testable"]
    assert "significant" not in " ".join(notes.values())


def test_the_best_reproduced_value_of_a_column_is_bold(table4: Table):
    section = table4.sections[0]
    assert all(entry.bold for entry in line(section, "reproduced").entries[:7])
    assert not any(entry.bold for entry in line(section, "reproduced", "w/o ALRS").entries)


def test_missing_runs_are_dashes_with_a_footnote(suite: Suite, results: Path):
    table = accuracy_table.build(collect.collect(suite, results), "alrs", "table4")
    entries = line(table.sections[0], "reproduced").entries
    assert {entry.text for entry in entries} == {"–"}  # noqa: RUF001
    notes = dict(table.footnotes)
    assert {notes[entry.marks[0]] for entry in entries} == {
        "3 of 3 seeds missing: not run to the end"
    }


def test_readings_show_how_often_the_rate_was_negative(folder: Path):
    table = accuracy_table.build(Frames.read(folder), "readings", "readings")
    (section,) = table.sections
    assert texts(line(section, "λ < 0", "literal")) == ["70 %"] * 4 + [""]
    assert texts(line(section, "λ < 0", "relative (default)")) == ["0 %"] * 4 + [""]


def test_an_experiment_of_a_user_gets_its_table(results: Path):
    variants = {
        "mine": {"title": "my_method & co", "method": "stranger"},
        "theirs": {"title": "100%"},
    }
    mine = {
        "title": "Mine",
        "networks": ["resnet20"],
        "bitsets": [[4, 2], [3]],
        "variants": variants,
    }
    suite = make_suite(experiments=EXPERIMENTS | {"mine": mine})
    for run in suite.runs.values():
        write_run(run, results)
    table = accuracy_table.build(collect.collect(suite, results), "mine", "mine")
    (section,) = table.sections
    assert [group.title for group in section.groups] == ["", "{4,2}", "{3}", ""]
    assert [one.label for one in section.lines if one.label] == ["my_method & co", "100%"]


PRINTED = {"table1": 75, "table2": 36, "table6": 16}
"""Printed accuracies per table, full precision left out."""


@pytest.mark.parametrize(("name", "count"), PRINTED.items())
def test_every_printed_number_stands_in_its_table_once(name: str, count: int, results: Path):
    table = accuracy_table.build(collect.collect(make_shared(name), results), name, name)
    values = [
        float(entry.text)
        for section in table.sections
        for one in section.lines
        if one.kind == "published"
        for entry in one.entries[len(conditions.COLUMNS) : -1]
        if entry.text
    ]
    rows = published.accuracy()
    printed = rows[rows.table == name].value
    assert len(values) == count == len(printed)
    assert sum(values) == pytest.approx(printed.sum())
    assert sorted(values) == sorted(printed)


@pytest.mark.parametrize("name", PRINTED)
def test_rows_stand_in_the_printed_order(name: str, results: Path):
    table = accuracy_table.build(collect.collect(make_shared(name), results), name, name)
    rows = published.accuracy()
    rows = rows.assign(name=published.names(rows))[rows.table == name]
    variants = SHARED[name]["variants"].values()
    titles = {one["published"]: one["title"] for one in variants if "published" in one}
    for section in table.sections:
        printed = dict.fromkeys(rows[rows.model == section.title].name)
        shown = [one.label for one in section.lines if one.kind == "published"]
        assert shown == [titles[row] for row in printed]


def test_full_precision_of_different_origin_is_pointed_out(results: Path):
    table = accuracy_table.build(collect.collect(make_shared("table1"), results), "table1", "t")
    assert any("different full-precision networks" in note for note in table.notes)
    assert set(conditions.NOTES) <= set(table.notes)


def test_the_misprint_belongs_to_table_4_alone(table4: Table, results: Path):
    table = accuracy_table.build(collect.collect(make_shared("table1"), results), "table1", "t")
    assert any("{4,3,2} header" in note for note in table4.notes)
    assert not any("{4,3,2} header" in note for note in table.notes)


def methods_in(content: Any) -> Iterator[Any]:
    """Yield every method that variants, their starts and their scores name."""
    if isinstance(content, dict):
        yield from (value for key, value in content.items() if key == "method")
        for value in content.values():
            yield from methods_in(value)


def test_every_method_is_run_in_a_shared_experiment():
    named = ["double-rounding", *methods_in(SHARED)]
    methods = {method if isinstance(method, str) else method["name"] for method in named}
    packaged = entry_points(group="bitswitch.methods")
    ours = {point.name for point in packaged if point.value.startswith("bitswitch.")}
    assert methods == ours - {"float32"}
