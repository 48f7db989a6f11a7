"""Nothing is said of a row before something of it was run: in every kind of table."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bitswitch.plugins import facts
from bitswitch.report.analysis import health
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import DASH, Line, Table
from bitswitch.report.tables import tables
from bitswitch.suite.suite import Suite
from tests.report import deployment_records, mixed
from tests.report.conftest import make_shared, make_suite, write_run

NOTHING = {"", DASH}
REASONS = (
    *("not run", "missing: ", "skipped: ", "not in this suite"),
    *("is not complete", "not scored", "no power meter"),
)
"""All that footnotes may be about."""

SUITES = {
    "table 1": lambda: make_shared("table1", "resnet18"),
    "table 3": lambda: make_shared("table3", "resnet18"),
    "costs and readings": make_suite,
    "mixed precision": mixed.make_mixed,
    "deployment": deployment_records.make_deployed,
}


def all_tables(suite: Suite, results: Path) -> tuple[Frames, list[Table]]:
    frames = collect.collect(suite, results)
    return frames, [tables.build(frames, name) for name in tables.names(suite)]


def reproduced(table: Table) -> Iterator[Line]:
    """Yield the lines that are about this suite."""
    for section in table.sections:
        yield from (line for line in section.lines if "published" not in line.kind)


def said(line: Line) -> set[str]:
    """Return what a line says besides print and reasons."""
    own = [entry for entry in line.entries if entry.tone not in ("published", "note")]
    return {text for entry in own for text in (entry.text, entry.below)} - NOTHING


@pytest.mark.parametrize("kind", SUITES)
@pytest.mark.parametrize("state", ["missing", "skipped"])
def test_rows_without_a_run_say_nothing_of_themselves(
    kind: str, state: str, results: Path, monkeypatch: pytest.MonkeyPatch
):
    if state == "skipped":
        monkeypatch.setattr(facts, "refusal", lambda spec: "too small")
    frames, built = all_tables(SUITES[kind](), results)
    for table in built:
        for line in reproduced(table):
            assert said(line) == set(), (table.name, line.label, line.kind)
            marks = {*line.marks, *(mark for entry in line.entries for mark in entry.marks)}
            texts = [text for letter, text in table.footnotes if letter in marks]
            assert all(any(reason in text for reason in REASONS) for text in texts), texts
        stamps = [table.stamp, *(section.about for section in table.sections)]
        assert not any("digits" in text or "3 epochs" in text for text in stamps), stamps
        assert not any("first and last layer" in note for note in table.notes)
    for line in health.lines(frames):
        assert (line.alrs, line.epochs, line.train, line.memory) == ("", "", "", "")


def test_rows_of_published_recipes_that_were_skipped_have_no_footnote_about_their_method(
    results: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        facts, "refusal", lambda spec: "too small" if spec.method.name == "kure" else None
    )
    suite = make_shared("table1", "resnet18")
    for run in suite.runs.values():
        write_run(run, results)
    _, (table,) = all_tables(suite, results)
    notes = [text for _, text in table.footnotes]
    assert any("skipped: too small" in text for text in notes)
    assert any(text.startswith("Adabits: built from the publication alone") for text in notes)
    assert not any(text.startswith("Kure") for text in notes)


def test_a_row_that_was_run_in_part_is_described_by_what_was_run(results: Path):
    suite = make_shared("table6", "resnet18", bitsets=[[8], [4]])
    done = [run for run in suite.runs.values() if run.bitset in ((8,), (32,)) and run.seed == 1]
    for run in done:
        write_run(run, results)
    frames, (table,) = all_tables(suite, results)
    assert frames.ended == {run.run_id for run in done}
    lines = [line for line in reproduced(table) if line.kind == "reproduced" and said(line)]
    assert [[entry.text for entry in line.entries[:4]] for line in lines] == [
        ["no", "8", "3", "equal"]
    ] * len(lines)
    assert lines


def test_a_search_that_found_nothing_says_no_more_than_its_training(results: Path):
    suite = make_shared("table3", "resnet18")
    for run in suite.runs.values():
        write_run(run, results)
    for scoring in suite.sensitivities.values():
        mixed.write_scoring(scoring, results)
    _, (table,) = all_tables(suite, results)
    names = [name for group in table.sections[0].groups for name in group.columns]
    training, search, tuned = (names.index(name) for name in ("training", "search", "tuned"))
    line = next(one for one in reproduced(table) if one.kind == "reproduced" and said(one))
    assert line.entries[training].text
    assert (line.entries[search].text, line.entries[tuned].text) == ("", "")
