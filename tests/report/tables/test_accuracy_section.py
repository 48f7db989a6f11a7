"""Tests of ``bitswitch.report.tables.accuracy_section``."""

from pathlib import Path

import pytest

from bitswitch.plugins import facts
from bitswitch.report.collect import collect
from bitswitch.report.render.marks import Mark
from bitswitch.report.render.table import Line, Section, Table
from bitswitch.report.tables import accuracy_table
from bitswitch.report.tables.accuracy_section import RECALIBRATED, SLICED
from bitswitch.report.tables.conditions import COLUMNS
from bitswitch.suite.suite import Suite
from tests.report.conftest import PUBLISHED_NETWORKS, SHARED, make_shared, make_suite, write_run


def make_table(suite: Suite, results: Path) -> Table:
    for run in suite.runs.values():
        write_run(run, results)
    (name,) = suite.experiments
    return accuracy_table.build(collect.collect(suite, results), name, name)


def rows_of(section: Section, label: str, position: int = 0) -> dict[str, Line]:
    """Return the rows of the variant whose title is ``label``, by kind."""
    starts = [at for at, line in enumerate(section.lines) if line.label == label]
    start = starts[position]
    span = section.spans[start][1]
    return {line.kind: line for line in section.lines[start : start + span]}


def texts(line: Line) -> list[str]:
    return [entry.text for entry in line.entries[len(COLUMNS) :]]


@pytest.fixture
def table1(results: Path) -> Table:
    return make_table(make_shared("table1", "resnet18", "mobilenetv2"), results)


def test_a_method_that_nobody_can_run_has_its_printed_row_and_the_reason(table1: Table):
    rows = rows_of(table1.sections[0], "Hot-Swap")
    assert list(rows) == ["published", "reproduced"]
    assert texts(rows["published"]) == ["70.40", "70.30", "70.20", "64.90", ""]
    *_, note = rows["reproduced"].entries
    assert note.text == "– not run: not implemented, no code or formula of its wavelets is public"  # noqa: RUF001
    assert note.span == 5
    assert not any(line.label == "Hot-Swap" for line in table1.sections[2].lines)


def test_columns_that_the_suite_leaves_out_are_dashes(results: Path):
    table1 = make_table(make_shared("table1", "mobilenetv2", network_bitsets={}), results)
    rows = rows_of(table1.sections[2], "AdaBits")
    assert texts(rows["published"])[:3] == ["72.30", "72.30", "70.30"]
    dashes = rows["reproduced"].entries[len(COLUMNS) : len(COLUMNS) + 3]
    assert {entry.text for entry in dashes} == {"–"}  # noqa: RUF001
    assert {dict(table1.footnotes)[entry.marks[0]] for entry in dashes} == {"not in this suite"}


def test_only_rows_trained_as_printed_are_set_against_print(table1: Table):
    section = table1.sections[0]
    assert "difference" in rows_of(section, "Double Rounding")
    kure = rows_of(section, "KURE")
    assert "difference" not in kure
    unlike = Mark("not comparable", "trained in another way than the printed row")
    assert {entry.mark for entry in kure["reproduced"].entries if entry.mark} == {unlike}


def test_a_published_recipe_is_set_against_print(results: Path, monkeypatch: pytest.MonkeyPatch):
    recipe = {"training": {"epochs": 9}, "options": {}}
    monkeypatch.setattr(facts, "recipe", lambda name, dataset: recipe, raising=False)
    variants = {
        "kure": {
            "preset": "published-recipe",
            "title": "KURE",
            "published": "kure",
            "method": "kure",
        }
    }
    table = {"title": "T", "printed": "table1", "networks": ["resnet18"], "variants": variants}
    suite = make_suite(
        data="published", networks=PUBLISHED_NETWORKS, experiments={"published-recipes": table}
    )
    rows = rows_of(make_table(suite, results).sections[0], "KURE")
    assert rows["reproduced"].entries[3].text == "published-recipe"
    assert "difference" in rows


def test_bold_compares_rows_with_the_same_use_of_distillation(table1: Table):
    section = table1.sections[0]
    without, distilled = (rows_of(section, "Double Rounding", position) for position in (0, 1))
    assert [entry.bold for entry in without["published"].entries[len(COLUMNS) :]] == [
        True,
        True,
        True,
        True,
        False,
    ]
    assert all(entry.bold for entry in distilled["published"].entries[len(COLUMNS) : -1])
    assert all(entry.bold for entry in without["reproduced"].entries[len(COLUMNS) : -1])


def test_a_row_says_how_its_method_differs_from_the_publication(table1: Table):
    marks = rows_of(table1.sections[0], "KURE")["reproduced"].marks
    assert [dict(table1.footnotes)[mark] for mark in marks] == [
        "Kure: built from the publication alone; keeps float32 weights; differs: None of its bugs"
    ]
    assert rows_of(table1.sections[0], "Double Rounding")["reproduced"].marks == ()


def test_separate_trainings_fill_one_row(results: Path):
    table = make_table(make_shared("table6", "resnet18"), results)
    rows = rows_of(table.sections[0], "LSQ, separately trained")
    assert texts(rows["published"]) == ["71.10", "", "71.10", "67.60", "70.50"]
    assert all("." in text for text in texts(rows["reproduced"]))


@pytest.mark.parametrize("asked", [False, True])
def test_recalibrated_accuracies_have_a_row_where_a_variant_asks_for_them(
    results: Path, asked: bool
):
    training = {"epochs": 3, "batch_size": 64, "learning_rate": 5e-4, "recalibration": 2}
    network = PUBLISHED_NETWORKS["resnet18"] | {"training": training}
    experiments = {"table1": SHARED["table1"] | {"networks": ["resnet18"]}}
    suite = make_suite(networks={"resnet18": network}, experiments=experiments)
    variants = suite.experiments["table1"].variants
    if asked:
        variants["adabits"] = variants["adabits"].model_copy(
            update={"training": {"recalibration": 2}}
        )
    table = make_table(suite, results)
    rows = rows_of(table.sections[0], "KURE")
    assert list(rows) == ["published", "reproduced", *([RECALIBRATED] if asked else [])]
    assert any(note.startswith("Recalibrated") for note in table.notes) == asked
    if asked:
        ours, again = ([float(text) for text in texts(rows[kind])[:4]] for kind in list(rows)[1:])
        assert again == pytest.approx([value + 0.4 for value in ours])


def test_a_variant_that_leaves_out_a_network_says_so(results: Path):
    suite = make_shared("table1", "resnet18", "resnet50")
    kure = suite.experiments["table1"].variants["kure"]
    suite.experiments["table1"].variants["kure"] = kure.model_copy(
        update={"networks": ("resnet18",)}
    )
    table = make_table(suite, results)
    *_, note = rows_of(table.sections[1], "KURE")["reproduced"].entries
    assert note.text == "– not in this suite"  # noqa: RUF001


def test_bit_widths_that_no_step_trains_are_marked(results: Path, monkeypatch):
    monkeypatch.setattr(facts, "sliced", lambda run: (6,) if run.method.name == "kure" else ())
    section = (table := make_table(make_shared("table1", "resnet18"), results)).sections[0]
    notes = dict(table.footnotes)
    ours = rows_of(section, "KURE")["reproduced"].entries[len(COLUMNS) :]
    assert [[notes[mark] for mark in entry.marks] for entry in ours[:4]] == [[], [SLICED], [], []]
    others = rows_of(section, "Double Rounding")["reproduced"].entries
    assert not any(SLICED in (notes[mark] for mark in entry.marks) for entry in others)
