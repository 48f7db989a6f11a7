"""Tests of ``bitswitch.report.document.html``."""

import re
import shutil
from html import unescape as html_text
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from bitswitch.errors import ReportError
from bitswitch.report.claims.resolution import known_claims
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.document import html, parts
from bitswitch.report.figures import figures
from bitswitch.report.render.behind import SEPARATOR, decoded
from bitswitch.report.statistics import VERDICTS
from bitswitch.suite.suite import Suite
from tests.report.conftest import EXPERIMENTS, NETWORK, know_plugins, make_suite, write_run

VOID = {"meta", "link", "br", "img", "input"}


def make_parts(suite: Suite, folder: Path) -> None:
    parts.write(Frames.read(folder), folder)
    (folder / "figures").mkdir()
    for name in figures.names(suite):
        (folder / f"figures/{name}.svg").write_text("<svg></svg>")


def written(all_results: Path, folder: Path, *drawn: str) -> Path:
    """Write the page of all results, with these figures as they are; return its path."""
    shutil.copytree(all_results / "tiny", folder)
    with pytest.MonkeyPatch.context() as patch:
        know_plugins(patch)
        suite = make_suite()
        make_parts(suite, folder)
        for name in drawn:
            figures.write(name, folder)
        return html.write(suite, folder)


@pytest.fixture(scope="module")
def text(all_results: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(all_results, tmp_path_factory.mktemp("page") / "tiny").read_text()


class Nesting(HTMLParser):
    """Checks that every element is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole(text: str):
    parser = Nesting()
    parser.feed(text)
    assert parser.open == []
    assert len(text) < 2_000_000


def test_nothing_is_loaded_from_elsewhere(text: str):
    sources = re.findall(r'(?:src|href)="([^"#][^"]*)"', text)
    assert all(source.startswith(("data:", "runs/", "https://arxiv.org/")) for source in sources)
    assert not re.findall(r"<(?:script|link|img)[^>]* src=\"(?!data:)", text)
    assert "default-src 'none'" in text
    assert "@import" not in text


def test_every_link_leads_somewhere_and_every_name_is_given_once(text: str):
    names = re.findall(r' id="([^"]+)"', text)
    assert len(names) == len(set(names))
    links = set(re.findall(r'href="#([^"]+)"', text))
    assert links <= set(names)
    cells = set(re.findall(r'<td[^>]* id="([^"]+)"', text))
    assert cells
    assert cells <= links


def test_the_scorecard_comes_first_with_a_row_per_claim_and_its_evidence(suite: Suite, text: str):
    start = text.index('<section id="scorecard"')
    card = text[start : text.index("</section>", start)]
    assert "<section" not in text[:start]
    assert "embedded data, not the published scale" in card
    assert set(re.findall(r'<tr id="claim-([^"]+)">', card)) == set(known_claims(suite))
    row = card.partition('<tr id="claim-C26">')[2].partition("</tr>")[0]
    assert "embedded: not evidence for or against" in row
    assert 'href="#alrs/resnet20/with-alrs/8-6-4-2/8"' in row
    assert '<details class="behind" data-runs="0-11"><summary>12 runs</summary>' in row
    counted = re.search(r'<section id="scorecard" data-jobs="([^"]+)', text)
    assert counted is not None
    behind = {jobs_of(text)[int(number)] for number in decoded(counted[1])}
    assert behind <= suite.runs.keys()
    assert len(behind) >= 12
    assert "<b>36</b> <span>not run</span>" in card
    row = card.partition('<tr id="claim-C08">')[2].partition("</tr>")[0]
    assert re.search(r"<small>takes \d+ runs, about \d+ GPU hours; 1 seed, [^<]+</small>", row)
    for verdict, meaning in VERDICTS.items():
        assert f"<span>{verdict}</span></dt><dd>{meaning}</dd>" in card


def test_a_rehearsal_is_no_result(tmp_path: Path):
    suite = make_suite(data="made-up")
    folder = tmp_path / "tiny"
    frames = collect.collect(suite, tmp_path)
    frames.write(folder)
    make_parts(suite, folder)
    text = html.write(suite, folder).read_text()
    assert "A rehearsal on noise: nothing here is a result." in text
    assert "<span>rehearsal: noise is no evidence</span>" in text
    assert "Embedded data" not in text


def unpacked(text: str) -> list[tuple[str, ...]]:
    """Return the lines of a list of jobs from its attribute; names of columns first."""
    (title, *names), *others = (line.split(SEPARATOR) for line in html_text(text).split("\n"))
    columns = [[title, *(name for name in decoded(SEPARATOR.join(names)))]]
    for title, *texts in others:
        found = (re.fullmatch(r"(?:(\d+)\*)?(.*)", one) for one in texts)
        columns += [[title, *(one[2] for one in found if one for _ in range(int(one[1] or 1)))]]
    return list(zip(*columns, strict=True))


def lines_of(text: str) -> list[tuple[str, ...]]:
    """Return the lines of all lists of jobs of a page."""
    lists = re.findall(r'<p class="jobs"[^>]* data-list="([^"]*)"', text)
    return [line for one in lists for line in unpacked(one)[1:]]


def jobs_of(text: str) -> list[str]:
    """Return the names of all jobs, as other parts of a page count them."""
    return [line[0] for line in lines_of(text)]


def test_tables_runs_and_origin_are_there(text: str, folder: Path):
    assert {job: line[0] for job, *line in lines_of(text)} == dict(
        Frames.read(folder).runs[["run", "status"]].itertuples(index=False)
    )
    assert "0123456789abcdef" in text
    assert "Embedded data, not the published scale" in text
    assert "prefers-color-scheme: dark" in text


def test_every_method_has_its_card(text: str):
    card = text.partition('id="method-double-rounding"')[2].partition("</details>")[0]
    for fact in (
        "Huang et al., Nearly Lossless Adaptive Bit Switching",
        "agrees with the published code, array by array",
        "the widest integer weights and their scales",
        "The initial scale is not given.",
        "epochs 200, milestones 0.5",
    ):
        assert fact in card


def test_a_missing_part_is_named(suite: Suite, folder: Path):
    with pytest.raises(ReportError, match=r"scorecard\.html is missing"):
        html.write(suite, folder)


def with_further_networks() -> Suite:
    network = {**NETWORK, "title": "Other", "published": "none"}
    networks = {"resnet20": {**NETWORK, "title": "First", "published": "resnet20"}}
    alrs = EXPERIMENTS["alrs"] | {"networks": ["resnet20", "other"]}
    return make_suite(networks=networks | {"other": network}, experiments={"alrs": alrs})


def test_figures_of_further_networks_stand_below_those_of_the_first(results: Path):
    suite = with_further_networks()
    folder = collect.write(suite, results)
    make_parts(suite, folder)
    text = html.write(suite, folder).read_text()
    places = [text.index(f'<figure class="plot" id="{name}"') for name in figures.names(suite)]
    assert places == sorted(places)
    heading = text.index("<h2>Figures of further networks</h2>")
    assert [place > heading for place in places] == [False] * 3 + [True] * 3


def test_a_page_that_is_too_large_leads_to_figures_of_further_networks(
    results: Path, monkeypatch: pytest.MonkeyPatch
):
    suite = with_further_networks()
    folder = collect.write(suite, results)
    make_parts(suite, folder)
    for name in figures.names(suite):
        (folder / f"figures/{name}.svg").write_text(f"<svg><title>{name}</title></svg>")
    whole = html.write(suite, folder).read_text()
    monkeypatch.setattr(html, "LIMIT", len(whole.encode()) - 1)
    text = html.write(suite, folder).read_text()
    for name, drawn in figures.of(suite).items():
        assert f"<title>{name}</title>" in whole
        assert (f"<title>{name}</title>" in text) is not drawn.is_further
        assert (f'<a href="figures/{name}.svg">' in text) is drawn.is_further


def test_a_further_run_takes_few_bytes(tmp_path: Path):
    counts, sizes = [], []
    for seeds in (3, 13):
        suite, results = make_suite(seeds=range(seeds)), tmp_path / f"{seeds}"
        rng = np.random.default_rng(0)
        for run in suite.runs.values():
            measured = {"train_time_s": rng.lognormal(9, 1), "peak_memory_mib": rng.lognormal(7, 1)}
            write_run(run, results, **measured)
        folder = collect.write(suite, results)
        make_parts(suite, folder)
        counts.append(len(suite.runs))
        sizes.append(html.write(suite, folder).stat().st_size)
    per_run = (sizes[1] - sizes[0]) / (counts[1] - counts[0])
    assert 40 < per_run < 120, per_run
