"""Tests of ``bitswitch.report.render.page``."""

from bitswitch.report.render import page
from bitswitch.report.render.table import Entry, Group, Line, Section, Table


def test_markup_in_names_is_printed_literally():
    line = Line("<b>a & b</b>", "", (Entry("1.0", "±0.1", marks=("a",), span=2, anchor="a/b"),))
    section = Section("<i>", "", (Group("g", ("x", "y")),), (line,))
    text = page.table(Table("t", "<script>", "s", (section,)))
    assert "<script>" not in text
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in text
    assert 'id="a/b" colspan="2"' in text
    assert "<sup>a</sup><br><small>±0.1</small>" in text
