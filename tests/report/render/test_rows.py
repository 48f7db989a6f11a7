"""Tests of ``bitswitch.report.render.rows``."""

from bitswitch.report.render.rows import rows
from bitswitch.report.render.table import DASH, Detail, Entry, Group, Line, Section

GROUPS = (Group("g", ("w8a8", "w2a2")),)

LINES = (
    Line("A", "published", (Entry("1.0", tone="published"), Entry("9.0", tone="published"))),
    Line("", "reproduced", (Entry("2.0"), Entry(DASH, detail=Detail("0 of 1 seeds")))),
    Line("B", "published", (Entry("3.0", tone="published"), Entry())),
    Line("", "reproduced", (Entry(f"{DASH} not run", tone="note", span=2),)),
)


def test_rows_that_stay_together_are_sorted_by_what_was_measured():
    found = list(rows(Section("s", "", GROUPS, LINES, is_grouped=True)))
    assert [row.keys for row in found] == [("2.0", "9.0"), None, ("3.0", ""), None]
    assert [row.label for row in found] == ["A", "A", "B", "B"]
    assert [row.is_first for row in found] == [True, False, True, False]


def test_a_failure_was_run_and_a_printed_number_was_not():
    found = list(rows(Section("s", "", GROUPS, LINES, is_grouped=True)))
    assert [row.is_run for row in found] == [True, True, False, False]
    failed = Line("A", "", (Entry(DASH, detail=Detail("0 of 2 seeds")), Entry()))
    assert next(rows(Section("s", "", GROUPS, (failed,)))).is_run


def test_lines_that_stand_alone_are_sorted_alone():
    found = list(rows(Section("s", "", GROUPS, LINES)))
    assert [row.keys[0] for row in found] == ["1.0", "2.0", "3.0", ""]
