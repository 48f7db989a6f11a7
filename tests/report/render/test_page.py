"""Tests of ``bitswitch.report.render.page``."""

import hashlib
import re

from bitswitch.report.render import page
from bitswitch.report.render.assets import asset
from bitswitch.report.render.table import Detail, Entry, Group, Line, Section, Table, Value


def test_markup_in_names_is_printed_literally():
    line = Line("<b>a & b</b>", "", (Entry("1.0", "±0.1", marks=("a",), span=2, anchor="a/b"),))
    section = Section("<i>", "", (Group("g", ("x", "y")),), (line,))
    text = page.table(Table("t", "<script>", "s", (section,)))
    assert "<script>" not in text
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in text
    assert 'id="a/b" colspan="2"' in text
    assert "<td hidden" in text
    assert "<sup>a</sup><br><small>±0.1</small>" in text


def test_a_cell_tells_what_is_behind_it():
    values = (Value("seed 0", "1.5", 'run-"0"'), Value("seed 1", "1.7", 'run-"1"'))
    about = Detail("2 seeds", "[1.0, 2.0]", values)
    line = Line("l", "", (Entry("1.5", detail=about), Entry("2.5")))
    text = page.table(Table("t", "t", "s", (Section("s", "", (Group("", ("x", "y")),), (line,)),)))
    assert text.count("data-n=") == 1
    assert 'data-n="2 seeds" data-interval="[1.0, 2.0]" data-values="0=1.5|1.7"' in text
    assert 'data-jobs="0~run-&#34;0&#34; seed 0|5~1&#34; seed 1"' in text


def test_code_of_others_is_as_published_and_licensed():
    told = asset("html", "vendor", "README.md").read_text()
    for name in page.LIBRARIES:
        file = asset("html", *name.split("/"))
        assert hashlib.sha256(file.read_bytes()).hexdigest() in told
        assert file.with_name("LICENSE").read_text()
    assert len(re.findall("[0-9a-f]{64}", told)) == len(page.LIBRARIES)


def test_every_script_is_in_some_page():
    folder = asset("html", "scripts")
    assert {path.stem for path in folder.glob("*.js")} == {*page.SCRIPTS, *page.OF_RUNS, "theme"}
