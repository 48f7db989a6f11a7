"""Tests of what the scripts of ``report.html`` do, in headless Chromium."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from bitswitch.report.render.behind import decoded
from tests.report.document.browser import Page, browsing, find_chromium
from tests.report.document.test_html import jobs_of, written

CHROMIUM = find_chromium()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
]

TABLE = "#table4 table"
LABELS = (
    "[...document.querySelector('#table4 tbody.rows').rows].map("
    "row => row.cells[0].textContent + '/' + row.cells[1].firstChild.textContent)"
)
PRINTED = [
    "w/o ALRS/published",
    "w/o ALRS/reproduced",
    "w. ALRS/published",
    "w. ALRS/reproduced",
    "w. ALRS/effect, published",
    "w. ALRS/effect, reproduced",
]
CELL = f"{TABLE} td[data-n]"
SHOWN = "[...document.querySelectorAll('.table tbody.rows tr')].filter(row => row.offsetParent)"
"""Rows of all tables that are in sight."""


def choose(page: Page, name: str, value: str) -> None:
    """Choose an option of a filter as a reader does."""
    page.run(
        f"(() => {{ const one = document.forms[0].elements['{name}']; one.value = '{value}';"
        "one.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )


def behind(page: Page, selector: str) -> list[tuple[str, str, str]]:
    """Return name, text and job of every value behind a cell, as its attributes say."""
    cell, jobs = page.run(
        f"(() => {{ const one = document.querySelector('{selector}');"
        "return [one.dataset.values, one.closest('figure').dataset.jobs]; })()"
    )
    listed = jobs_of(Path(page.run("decodeURI(location.pathname)")).read_text())
    names, number, found = decoded(jobs), -1, []
    for value in cell.split("|"):
        given, _, text = value.rpartition("=")
        number = int(given) if given else number + 1
        job, _, name = names[number].partition(" ")
        found.append((name, text, listed[int(job)]))
    return found


@pytest.fixture(scope="module")
def file(all_results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(all_results, tmp_path_factory.mktemp("page") / "tiny", "figure2")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    pytest.importorskip("websockets", reason="the extra dev is not installed")
    with browsing(str(CHROMIUM), tmp_path_factory.mktemp("browser") / "own") as page:
        yield page


@pytest.fixture
def page(browser: Page, file: Path) -> Iterator[Page]:
    """Open anew, and nothing to complain about when the test is over."""
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(file)
    yield browser
    assert browser.complaints == []
    loaded = {one for one in browser.requests if not one.startswith("data:")}
    assert loaded <= {file.as_uri(), *(one.as_uri() for one in file.parent.glob("runs/*.html"))}


def test_a_click_on_a_heading_sorts_and_rows_of_one_method_stay_together(page: Page):
    assert page.run(LABELS) == PRINTED
    heading = f"{TABLE} thead tr:nth-child(2) th:nth-child(3)"
    page.click(f"{heading} button")
    sort = f"document.querySelector('{heading}').getAttribute('aria-sort')"
    assert page.wait(sort) == "descending"
    turned = [*PRINTED[2:], *PRINTED[:2]]
    page.wait(f"({LABELS})[0] === '{turned[0]}'")
    assert page.run(LABELS) == turned
    page.run(f"document.querySelector('{heading} button').focus()")
    page.press("Enter")
    page.wait(f"({LABELS})[0] === '{PRINTED[0]}'")
    assert page.run(LABELS) == PRINTED
    assert page.run(sort) == "ascending"
    page.click(".back")
    assert page.run(sort) is None


def test_filters_hide_rows_and_columns_of_all_tables(page: Page):
    everything = page.run(f"{SHOWN}.length")
    choose(page, "network", "ResNet-20")
    titles = page.run(
        "[...document.querySelectorAll('#table4 .section')].filter(row => row.offsetParent)"
        ".map(row => row.textContent.trim().split(' ')[0])"
    )
    assert titles == ["ResNet-20"]
    choose(page, "bits", "8")
    columns = page.run(
        f"[...document.querySelectorAll('{TABLE} thead tr:nth-child(2) th')]"
        ".filter(cell => cell.offsetParent).map(cell => cell.textContent)"
    )
    assert columns == ["name", "row", "w8a8", "FP"]
    assert "rows" in page.run("document.querySelector('.filters output').textContent")
    page.click(".filters [type=reset]")
    page.wait(f"{SHOWN}.length === {everything}")
    page.click(".filters [name=absent]")
    page.wait(f"{SHOWN}.length < {everything}")
    assert page.run(f"{SHOWN}.some(row => row.matches('[data-absent]'))") is False
    assert page.run(f"{SHOWN}.length") > 0


def test_a_cell_tells_its_seeds_interval_and_runs(page: Page):
    page.hover(CELL)
    shown = "document.querySelector('#bubble:popover-open')"
    told = page.wait(f"{shown} && {shown}.innerText")
    values = behind(page, CELL)
    assert len(values) == 3
    assert "w/o ALRS · reproduced · w8a8" in told
    assert "n = 3 seeds, 95 % interval [94.25, 95.01]" in told
    for name, text, run in values:
        assert f"{name}: {text} {run}" in told
    page.press("Escape")
    page.wait(f"!{shown}")


def test_a_cell_leads_to_the_pages_of_its_runs(page: Page, file: Path):
    page.run(f"document.querySelector('{CELL}').focus()")
    page.press("Enter")
    run = page.run("document.activeElement.textContent")
    page.press("Enter")
    page.arrive(f"{file.parent}/runs/{run}.html")
    assert page.run("document.querySelector('h1').textContent") == run
    assert page.run("document.querySelectorAll('polyline').length") > 0


def test_a_list_of_jobs_unfolds_and_an_address_leads_to_one(page: Page, file: Path):
    runs = pd.read_csv(file.with_name("runs.csv"))[["run", "status"]].values.tolist()
    assert page.run("document.querySelectorAll('#runs table').length") == 0
    page.run(f"location.hash = 'job-{runs[-1][0]}'")
    page.wait("document.querySelector('#runs tr:target')")
    lines = page.run(
        "[...document.querySelectorAll('#runs tbody tr')].map("
        "row => [row.cells[0].textContent, row.cells[1].textContent])"
    )
    assert lines == runs
    page.click("#runs tr:target a")
    page.arrive(f"{file.parent}/runs/{runs[-1][0]}.html")


def test_a_page_that_travels_alone_says_so(browser: Page, file: Path, tmp_path: Path):
    alone = Path(shutil.copy(file, tmp_path))
    browser.complaints.clear()
    browser.open(alone)
    assert browser.complaints == []
    browser.run(f"document.querySelector('{CELL}').focus()")
    browser.press("Enter")
    browser.press("Enter")
    browser.wait("document.body.innerText.includes('not beside this page')")
    assert browser.run("location.pathname").endswith(alone.name)


def test_a_figure_tells_its_values(page: Page):
    value = "#figure2 .points > g:last-child circle:last-child"  # above all others
    tip = page.run(f"document.querySelector('{value}').dataset.tip")
    shown = "document.querySelector('#bubble:popover-open')"
    page.hover(value)
    assert page.wait(f"{shown} && {shown}.innerText") == tip
    page.run("document.querySelector('#figure2 circle').focus()")
    page.press("ArrowRight")
    assert page.run("document.activeElement.dataset.tip") == page.run(f"{shown}.innerText") != tip


def test_the_keyboard_reaches_cells_and_what_is_behind_them(page: Page):
    stops = f"document.querySelectorAll('{CELL}[tabindex=\"0\"]').length"
    assert page.run(stops) == 1
    page.run(f"document.querySelector('{CELL}').focus()")
    page.press("ArrowRight")
    assert page.run("document.activeElement.cellIndex") == 3
    page.press("ArrowDown")
    assert page.run("document.activeElement.parentElement.cells[0].textContent") == "w. ALRS"
    assert page.run(stops) == 1
    page.press("Enter")
    run = page.run("document.activeElement.textContent")
    assert run.startswith("double-rounding-resnet20-digits-s0-")
    page.press("Escape")
    assert page.run("document.activeElement.tagName") == "TD"
    page.open(Path(page.run("decodeURI(location.pathname)")))
    page.press("Tab")
    assert page.run("document.activeElement.textContent") == "To the content"


@pytest.mark.parametrize("name", ["LaTeX", "CSV", "Markdown"])
def test_a_table_is_copied_as_it_is_shown(page: Page, name: str):
    page.run("navigator.clipboard.writeText = async text => { window.copied = text; }")
    choose(page, "network", "ResNet-20")
    choose(page, "bits", "8")
    page.click(f'#table4 .tools [aria-label$="{name}"]')
    lines = page.wait("window.copied").splitlines()
    expected = {
        "LaTeX": [
            r"\begin{tabular}{llrr}",
            r"w/o ALRS & reproduced & 94.63 $\pm$0.15 (3) & 94.83 $\pm$0.12 (3) \\",
        ],
        "CSV": [
            'section,name,row,"{8,6,4,2} w8a8","{8,6,4,2} w8a8, spread (n)",FP,"FP, spread (n)"',
            "ResNet-20,w/o ALRS,reproduced,94.63,±0.15 (3),94.83,±0.12 (3)",
        ],
        "Markdown": [
            "| section | name | row | {8,6,4,2} w8a8 | FP |",
            "| ResNet-20 | w/o ALRS | reproduced | 94.63 ±0.15 (3) | 94.83 ±0.12 (3) |",
        ],
    }
    for line in expected[name]:
        assert line in lines
    assert "ResNet-18" not in "".join(lines)
    told = page.wait("document.querySelector('#table4 .tools [role=status]').textContent")
    assert told == f"copied as {name}"


def test_dark_is_what_the_system_or_the_reader_wants(page: Page, file: Path):
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.run(colour)
    page.click("button.theme")
    dark = page.run(colour)
    assert dark != light
    page.click("button.theme")
    assert page.run(colour) == light
    page.run("localStorage.clear()")
    page.open(file, dark=True)
    assert page.run(colour) == dark


def test_paper_shows_all_rows_and_no_controls(page: Page, tmp_path: Path):
    page.click(".filters [name=absent]")
    choose(page, "network", "ResNet-20")
    printed = tmp_path / "page.pdf"
    printed.write_bytes(page.pdf())
    assert page.run("document.querySelector('.filters').offsetParent") is not None
    if shutil.which("pdftotext"):
        text = subprocess.check_output(["pdftotext", "-layout", str(printed), "-"], text=True)
        assert "ResNet-50" in text
        assert "hide what was not run" not in text
        assert "Markdown" not in text


def test_a_page_that_is_loaded_anew_keeps_what_was_chosen(page: Page):
    choose(page, "network", "ResNet-20")
    heading = f"{TABLE} thead tr:nth-child(2) th:nth-child(3)"
    sort = f"document.querySelector('{heading}').getAttribute('aria-sort')"
    for order in ("descending", "ascending"):
        page.click(f"{heading} button")
        page.wait(f"{sort} === '{order}' && !document.querySelector('#table4 .back').hidden")
    shown = page.run(f"{SHOWN}.length")
    page.run("[...document.querySelectorAll('details')].at(-1).open = true")
    page.run("document.querySelector('#table5').scrollIntoView({ behavior: 'instant' })")
    top = "Math.round(document.querySelector('#table5').getBoundingClientRect().top)"
    before = page.run(top)
    page.reload()
    page.wait(f"Math.abs({top} - {before}) < 3 && scrollY > 500")
    assert page.run("document.forms[0].elements.network.value") == "ResNet-20"
    assert page.run(f"{SHOWN}.length") == shown
    assert page.run(sort) == "ascending"
    assert page.run("[...document.querySelectorAll('details')].at(-1).open")


def test_a_page_that_grows_is_loaded_anew_unless_it_is_being_read(
    browser: Page, file: Path, tmp_path: Path
):
    growing = tmp_path / "growing.html"
    text = file.read_text()
    growing.write_text(text.replace("<main ", '<p id="progress" data-growing></p><main ', 1))
    quick = (
        "setInterval = (tick) => { window.tick = tick; };performance.now = () => window.now ?? 1e6;"
    )
    script = browser.call("Page.addScriptToEvaluateOnNewDocument", source=quick)["identifier"]
    browser.open(growing)
    browser.run("window.isOld = true")
    for busy, free in (
        (
            "getSelection().selectAllChildren(document.querySelector('h1'))",
            "getSelection().empty()",
        ),
        ("document.querySelector('td[data-n]').focus()", "document.activeElement.blur()"),
        ("dispatchEvent(new Event('wheel'))", ""),
    ):
        browser.run(busy)
        browser.run("tick()")
        assert browser.run("window.isOld")
        browser.run(free)
        browser.wait("!document.querySelector('#bubble:popover-open')")
    browser.run("setTimeout(() => { window.now = 2e6; tick(); }, 100)")
    browser.loaded()
    assert browser.run("window.isOld") is None
    browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


def test_it_fits_a_narrow_screen(page: Page, file: Path):
    page.open(file, width=400)
    assert page.run("document.documentElement.scrollWidth") <= 400
