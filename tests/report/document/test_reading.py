"""Tests of whether ``report.html`` can be read: by eye, by keyboard, by aids, and on paper."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from bitswitch.report.render import page as pages
from bitswitch.report.render.table import Entry, Group, Line, Section, Table
from tests.report.document.browser import Page, browsing, find_chromium
from tests.report.document.test_browsing import SHOWN, choose
from tests.report.document.test_html import written

CHROMIUM = find_chromium()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
]

CONTRAST = Path(__file__).with_name("contrast.js").read_text()

STOPS = 40
"""Of the tab key that are looked at."""

FOCUS = """(() => {
  const one = document.activeElement, look = getComputedStyle(one);
  const isSeen = parseFloat(look.outlineWidth) > 0 && look.outlineStyle !== "none";
  const isLit = one.tagName === "circle" && parseFloat(look.fillOpacity) > 0;
  return isSeen || isLit ? "" : one.outerHTML.slice(0, 80);
})()"""


@pytest.fixture(scope="module")
def file(all_results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "tiny"
    return written(all_results, folder, "figure2", "figure3")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    pytest.importorskip("websockets", reason="the extra dev is not installed")
    with browsing(str(CHROMIUM), tmp_path_factory.mktemp("browser") / "own") as found:
        yield found


def first_run(file: Path) -> Path:
    return sorted((file.parent / "runs").iterdir())[0]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1400, 400])
def test_every_text_stands_out_from_what_is_behind_it(
    page: Page, file: Path, dark: bool, width: int
):
    for path in (file, first_run(file)):
        page.open(path, width=width, dark=dark)
        page.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        page.wait("!document.querySelector('.jobs')")
        found = page.run(CONTRAST)
        assert found["bad"] == []
        assert found["count"] > 100


@pytest.mark.parametrize("dark", [False, True])
def test_the_bubble_and_controls_stand_out(page: Page, file: Path, dark: bool):
    page.open(file, dark=dark)
    page.run("document.querySelector('#table4 td[data-n]').focus()")
    page.wait("document.querySelector('#bubble:popover-open')")
    assert page.run(CONTRAST)["bad"] == []
    edges = """[...document.querySelectorAll("main :is(button, select)")]
      .filter(one => one.checkVisibility()).map(one => getComputedStyle(one).borderTopColor)"""
    background = "getComputedStyle(document.querySelector('figure')).backgroundColor"
    for edge in set(page.run(edges)) - {"rgb(0, 0, 0)"}:
        assert ratio(edge, page.run(background)) >= 3


def ratio(one: str, other: str) -> float:
    """Return the contrast of two colours without opacity."""

    def luminance(text: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", text)[:3]]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_found_where_it_lacks(page: Page, file: Path):
    page.open(file)
    page.run("document.querySelector('.lead').style.color = '#999'")
    page.run("document.querySelector('#figure2 text').style.fill = '#bbb'")
    bad = page.run(CONTRAST)["bad"]
    assert {one.split()[1] for one in bad} == {"P", "CODE", "text"}


def test_the_page_has_a_language_and_headings_in_order(page: Page, file: Path):
    for path in (file, first_run(file)):
        page.open(path)
        assert page.run("document.documentElement.lang") == "en"
        levels = page.run(
            "[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(one => +one.tagName[1])"
        )
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(two - one <= 1 for one, two in pairwise(levels))


NAMED = {
    *("table", "columnheader", "rowheader", "figure", "button", "combobox", "checkbox", "link"),
    *("navigation", "region", "form", "heading", "listbox", "option"),
}
"""Roles of what has to have a name."""


@pytest.mark.parametrize("width", [1400, 400])
def test_what_aids_are_told_of_has_a_name(page: Page, file: Path, width: int):
    for path in (file, first_run(file)):
        page.open(path, width=width)
        page.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        page.wait("!document.querySelector('.jobs')")
        seen = [one for one in page.all_accessible() if one["role"] in NAMED]
        assert [one for one in seen if not one["name"].strip()] == []
        assert {"table", "columnheader", "link", "heading"} <= {one["role"] for one in seen}
        if path == file:
            heads = {one["name"] for one in seen if one["role"] == "columnheader"}
            assert {"claim", "printed", "reproduced", "verdict", "evidence"} <= heads


def test_landmarks_lead_to_contents_filters_and_the_page_itself(page: Page, file: Path):
    page.open(file)
    roles = Counter(one["role"] for one in page.all_accessible())
    assert [roles[one] for one in ("main", "navigation", "form")] == [1, 1, 1]
    assert not roles.keys() & {"banner", "complementary", "contentinfo"}
    assert roles["note"] == 1


ALONE = """[...document.querySelectorAll("table")].flatMap((table) => {
  const isHeaded = [];
  for (const row of table.tHead.rows) {
    let at = 0;
    for (const cell of row.cells) {
      const says = cell.matches("th[scope]") && cell.textContent.trim() !== "";
      for (let end = at + cell.colSpan; at < end; at += 1) isHeaded[at] ||= says;
    }
  }
  return [...table.tBodies].flatMap((body) => [...body.rows]).flatMap((row) => {
    let at = 0;
    return [...row.cells].filter((cell) => !cell.hidden).filter((cell) => {
      const from = at;
      at += cell.colSpan;
      if (cell.matches("th[scope]") || cell.textContent.trim() === "") return false;
      return !isHeaded.slice(from, at).includes(true) || !row.querySelector("th[scope='row']");
    }).map((cell) => `${table.caption.textContent}: ${cell.textContent}`);
  });
})"""
"""Cells that say something below no header of a column, or beside none of a row."""


def test_every_cell_has_the_headers_of_its_row_and_column(page: Page, file: Path):
    for path in (file, first_run(file)):
        page.open(path)
        page.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        page.wait("!document.querySelector('.jobs')")
        assert page.run(ALONE) == []
        assert page.run("document.querySelectorAll('th:not([scope])').length") == 0
        assert page.run("[...document.querySelectorAll('table')].every(one => one.caption)")
    heads = "document.querySelectorAll('.table thead th, .runs thead th')"
    page.run(f"{heads}.forEach(one => one.removeAttribute('scope'))")
    assert page.run(ALONE) != []


def test_how_many_rows_are_left_is_announced(page: Page, file: Path):
    page.open(file)
    told = "document.querySelector('.filters output').textContent"
    found = page.accessible("document.querySelector('.filters output')")
    assert found["role"] == "status"
    every = page.run("document.querySelectorAll('.table tbody.rows tr').length")
    choose(page, "network", "ResNet-20")
    shown = page.run(f"{SHOWN}.length")
    assert 0 < shown < every
    assert page.run(told) == f"{shown} of {every} rows"
    page.click(".filters [type=reset]")
    assert page.wait(f"{told}.startsWith('all') && {told}") == f"all {every} rows"


def test_figures_say_what_they_show(page: Page, file: Path):
    page.open(file)
    found = page.accessible("document.querySelector('#figure3 svg')")
    assert found["name"].startswith("Figure 3: ")
    assert page.run("document.querySelector('#figure3 svg > title').textContent") == found["name"]
    assert "Mean over all seeds" in page.run("document.querySelector('#figure3 desc').textContent")


def test_the_values_of_a_figure_are_one_list(page: Page, file: Path):
    page.open(file)
    points = page.run("document.querySelectorAll('.points circle').length")
    roles = Counter(one["role"] for one in page.all_accessible())
    assert points > 100
    assert roles["listbox"] == page.run("document.querySelectorAll('g.points').length")
    assert not roles.keys() & {"image", "img", "graphics-symbol"}
    found = page.accessible("document.querySelector('#figure3 g.points')")
    assert found["name"].startswith("Values: Figure 3: ")


def test_the_order_of_rows_is_announced(page: Page, file: Path):
    page.open(file)
    head = "document.querySelector('#table4 thead tr:nth-child(2) th:nth-child(3)')"
    page.run(f"{head}.querySelector('button').focus()")
    page.press("Enter")
    assert page.wait(f"{head}.getAttribute('aria-sort')") == "descending"
    assert page.accessible(head)["role"] == "columnheader"


def test_what_is_behind_a_cell_or_a_point_is_announced(page: Page, file: Path):
    page.open(file)
    page.run("document.querySelector('#table4 td[data-n]').focus()")
    page.wait("document.querySelector('#bubble:popover-open')")
    told = page.accessible("document.activeElement")
    assert told["role"] in ("cell", "gridcell")
    assert "3 seeds, 95 % interval" in told["description"]
    assert told["description"].count("seed ") == 3
    page.run("document.querySelector('#figure2 circle').focus()")
    told = page.accessible("document.activeElement")
    assert told["role"] == "option"
    assert told["name"] == page.run("document.activeElement.dataset.tip")


def test_the_focus_is_seen_wherever_it_goes(page: Page, file: Path):
    page.open(file)
    seen = set()
    for _ in range(STOPS):
        page.press("Tab")
        seen.add(page.run("document.activeElement.tagName"))
        assert page.run(FOCUS) == ""
    for selector in ("circle[tabindex='0']", "td[tabindex='0']", "summary", "thead button"):
        page.run(f'document.querySelector("main {selector}").focus({{ focusVisible: true }})')
        assert page.run(FOCUS) == ""
    assert {"A", "BUTTON"} <= seen


def words(text: str) -> Counter[str]:
    return Counter(text.split())


def printed(page: Page, folder: Path) -> str:
    """Return the text of the page on paper; what lies beyond the edge of a sheet is not in it."""
    path = folder / "page.pdf"
    path.write_bytes(page.pdf())
    try:
        return subprocess.check_output(["pdftotext", "-raw", str(path), "-"], text=True)
    except FileNotFoundError:
        pytest.skip("no pdftotext here")


TABLES = "[...document.querySelectorAll('table')].map(one => one.innerText).join('\\n')"


def test_nothing_of_a_table_is_cut_on_paper(page: Page, file: Path, tmp_path: Path):
    page.open(file, dark=True)
    shown = words(page.run(TABLES))
    text = printed(page, tmp_path)
    missing = shown - words(text)
    assert not {word for word in missing if re.fullmatch(r"[±+]?[\d.]+", word)}
    for control in ("show all", "Markdown", "printed order", "To the content", "Light"):
        assert control not in text
    assert "https://arxiv.org/abs/2502.01199" in text


WIDEST = tuple(f"w{at}a{at}" for at in range(20))


def section(title: str, rows: range) -> Section:
    """Return a section of the widest table: in row 7, 0 stands as 700.25."""
    lines = tuple(
        Line(
            f"A method of some length {row}",
            "reproduced, recalibrated",
            tuple(Entry(f"{row}{at:02d}.25", below="±0.15 (3)") for at in range(len(WIDEST))),
        )
        for row in rows
    )
    return Section(title, "", (Group("{8,6}", WIDEST),), lines)


def laid_out(folder: Path, *sections: Section) -> Path:
    """Write a page with one table; return its path."""
    table = Table("wide", "Wide", "s", sections)
    path, content = folder / "wide.html", pages.Markup(pages.table(table))
    path.write_text(pages.document("comparison.html.j2", table=content, left="a", right="b"))
    return path


def sheets(text: str) -> list[list[str]]:
    """Return the lines of every sheet that has some."""
    return [sheet.splitlines() for sheet in text.split("\f") if sheet.strip()]


def test_the_widest_table_fits_on_a_sheet(page: Page, tmp_path: Path):
    page.open(laid_out(tmp_path, section("Network", range(1, 60))))
    found = words(printed(page, tmp_path))
    shown = {f"{row}{at:02d}.25" for row in range(1, 60) for at in range(20)}
    assert not shown - found.keys()


def test_every_sheet_of_a_table_has_its_header(page: Page, tmp_path: Path):
    page.open(laid_out(tmp_path, section("Network", range(1, 60))))
    with_rows = [
        lines
        for lines in sheets(printed(page, tmp_path))
        if any(re.search(r"\d00\.25", line) for line in lines)
    ]
    assert len(with_rows) > 3
    for lines in with_rows:
        head = [at for at, line in enumerate(lines) if line.split()[-20:] == [*WIDEST]]
        first = next(at for at, line in enumerate(lines) if ".25" in line)
        assert len(head) == 1
        assert head[0] < first


def test_the_title_of_a_section_stays_with_its_rows(page: Page, tmp_path: Path):
    parts = [section(f"Network {at}", range(10 * at, 10 * at + 1 + at % 3)) for at in range(1, 60)]
    page.open(laid_out(tmp_path, *parts))
    titled = [lines for lines in sheets(printed(page, tmp_path)) if "Network " in "".join(lines)]
    assert len(titled) > 3
    assert not [lines[-1] for lines in titled if lines[-1].startswith("Network ")]


def test_paper_is_light(page: Page, file: Path):
    page.open(file, dark=True)
    dark = page.run("getComputedStyle(document.body).color")
    page.call("Emulation.setEmulatedMedia", media="print")
    light = page.run("getComputedStyle(document.body).color")
    page.call("Emulation.setEmulatedMedia", media="")
    assert ratio(light, "rgb(255, 255, 255)") > 12
    assert dark != light
