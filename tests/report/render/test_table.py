"""Tests of ``bitswitch.report.render.table``."""

from bitswitch.report.render.table import Footnotes, Group, Line, Section, Table


def test_the_same_reason_gets_the_same_letter():
    notes = Footnotes()
    assert [notes.mark("x"), notes.mark("y"), notes.mark("x")] == ["a", "b", "a"]
    assert notes.listed() == (("a", "x"), ("b", "y"))


def test_letters_go_on_after_z():
    notes = Footnotes()
    letters = [notes.mark(str(n)) for n in range(54)]
    assert letters[25:28] == ["z", "aa", "ab"]
    assert letters[52:] == ["ba", "bb"]
    assert len(set(letters)) == 54


def test_a_table_is_as_wide_as_its_widest_section():
    narrow = Section("n", "", (Group("", ("1",)),), ())
    wide = Section("w", "", (Group("", ("1", "2")), Group("", ("3",))), ())
    table = Table("t", "t", "s", (narrow, wide, wide))
    assert table.width == 3
    assert [headed for _, headed in table.headed_sections] == [True, True, False]
    assert Table("t", "t", "s", ()).width == 0


def test_a_label_stands_for_the_lines_below_it():
    lines = tuple(Line(label, "", ()) for label in ("a", "", "", "b", "c", ""))
    spans = [span for _, span in Section("s", "", (), lines).spans]
    assert spans == [3, 0, 0, 1, 2, 0]
    assert Section("s", "", (), ()).spans == []
    assert [span for _, span in Section("s", "", (), lines[1:3]).spans] == [2, 0]


def test_a_full_stop_is_not_printed_twice():
    notes = Footnotes()
    assert notes.mark("It diverged.") == notes.mark("It diverged")
    assert notes.listed() == (("a", "It diverged"),)
