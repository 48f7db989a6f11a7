"""Reports about a task of another kind: a metric of which less is better."""

import json
from pathlib import Path
from typing import Any

import pytest

from bitswitch.contracts.metric import Metric
from bitswitch.plugins import facts
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.document import html, parts, pdf
from bitswitch.report.figures import figures, front_figures, gradient_figures, layer_figure
from bitswitch.report.render.table import Entry, Table
from bitswitch.report.tables import tables
from bitswitch.results.correct import NAME as CORRECT
from bitswitch.suite.suite import Suite
from tests.report import mixed
from tests.report.conftest import FACTS, make_suite, seal, write_run

MAE = Metric("mae", "MAE", "levels", "lower", 3)
NOTE = "A level is a whole number."
BOUND = 0.3
NOISE = 0.012


@pytest.fixture(autouse=True)
def ordinal(known_plugins: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every dataset a task of ordinal regression."""
    about = {"metrics": [MAE._asdict()], "measure": "error", "note": NOTE}
    about |= {"chance": 0.6, "chance_bound": BOUND}
    monkeypatch.setattr(facts, "dataset_facts", lambda name, options: FACTS | about)


def regressed(folder: Path) -> None:
    """Turn what a job says of accuracies into errors: of 95 percent, 0.05 levels.

    No example is right or wrong any more.
    """
    for path in folder.rglob("*.jsonl"):
        kept = "" if path.name == CORRECT else path.read_text()
        lines = [json.loads(line) for line in kept.splitlines()]
        path.write_text("".join(json.dumps(_regressed(line)) + "\n" for line in lines))
    seal(folder)


def _regressed(line: Any) -> Any:
    if not isinstance(line, dict):
        return line
    if str(line.get("metric", "")).startswith("top1"):
        name = line["metric"].replace("top1", "mae")
        noise = {"noise": NOISE} if "noise" in line else {}
        return line | {"metric": name, "unit": "levels", "value": 1 - line["value"] / 100} | noise
    return {
        key.replace("top1", "mae"): 1 - value / 100 if "top1" in key else _regressed(value)
        for key, value in line.items()
    }


def collected(suite: Any, results: Path) -> Frames:
    for kind in ("runs", "searches"):
        for folder in (results / kind).glob("*"):
            regressed(folder)
    return Frames.read(collect.write(suite, results))


@pytest.fixture
def frames(results: Path) -> Frames:
    suite = make_suite()
    for run in suite.runs.values():
        write_run(run, results)
    return collected(suite, results)


def bold(table: Table, kind: str) -> list[tuple[float, list[float]]]:
    """Return every value in bold with those of its column."""
    (section,) = (one for one in table.sections if one.title == "ResNet-20")
    rows = [line.entries for line in section.lines if line.kind == kind]
    columns = [[e for e in column if e.text[:1].isdigit()] for column in zip(*rows, strict=True)]

    def value(entry: Entry) -> float:
        return float(entry.text)

    return [
        (value(entry), list(map(value, column)))
        for column in columns
        for entry in column
        if entry.bold
    ]


def test_the_least_is_best_and_written_with_the_digits_of_its_metric(frames: Frames):
    table = tables.build(frames, "table4")
    found = bold(table, "reproduced")
    assert len(found) > 4
    assert all(best == min(column) < max(column) for best, column in found)
    texts = [
        entry.text
        for section in table.sections
        for line in section.lines
        for entry in line.entries
        if entry.bold and line.kind == "reproduced"
    ]
    assert all(len(text.partition(".")[2]) == 3 for text in texts)
    assert table.notes[0].startswith("MAE in levels; Top-1 in percent")
    assert table.notes[1] == NOTE
    assert any(note.startswith("Bold: lowest or highest mean") for note in table.notes)


def test_what_guessing_reaches_is_collapsed(frames: Frames):
    rows = frames.metrics[(frames.metrics.metric == "mae") & (frames.metrics.split == "test")]
    rows = rows[rows.source == "reproduced"]
    assert ((rows.value >= BOUND) == (rows.status == "collapsed")).all()
    assert set(rows.status) == {"complete", "collapsed"}
    table = tables.build(frames, "readings")
    notes = [text for _, text in table.footnotes]
    assert any("collapsed at 0." in note and "levels" in note for note in notes)
    assert any("test error is that of guessing" in note for note in notes)


def test_printed_accuracies_are_not_set_against_another_metric(
    published_suite: Suite, results: Path
):
    for run in published_suite.runs.values():
        write_run(run, results)
    section = tables.build(collected(published_suite, results), "table4").sections[0]
    assert "reproduced" in {line.kind for line in section.lines}
    assert "difference" not in {line.kind for line in section.lines}
    assert section.about.endswith("MAE is not top-1: not comparable")


def test_curves_keep_the_loss_where_it_is_the_headline(
    suite: Suite, results: Path, monkeypatch: pytest.MonkeyPatch
):
    about = {"metrics": [Metric("loss", "Cross-entropy", "nats", "lower", 4)._asdict()]}
    monkeypatch.setattr(facts, "dataset_facts", lambda name, options: FACTS | about)
    write_run(next(iter(suite.runs.values())), results)
    curves = collect.collect(suite, results).curves
    assert curves.loss.notna().all()
    assert (curves.headline == curves.loss).all()
    assert (curves.held_out_headline == curves.held_out_loss).all()


def test_page_and_document_say_what_counts(suite: Suite, results: Path):
    for run in suite.runs.values():
        write_run(run, results, dict.fromkeys(run.bitset, 60.0))
    frames = collected(suite, results)
    folder = results / suite.name
    parts.write(frames, folder)
    for name in figures.names(suite):
        for suffix in ("pdf", "svg"):
            path = folder / f"figures/{name}.{suffix}"
            path.parent.mkdir(exist_ok=True)
            path.touch()
    for text in (html.write(suite, folder).read_text(), pdf.document(suite, folder)):
        assert "Error is MAE on the test split after the last epoch" in text
        assert "test error no better than guessing" in text
        assert "tasks.csv" in text or "documentclass" in text


def test_a_table_of_several_metrics_says_which_each_network_has(frames: Frames):
    about = {section.title: section.about for section in tables.build(frames, "table4").sections}
    assert "MAE in levels" in about["ResNet-20"]
    assert "Top-1 in percent" in about["ResNet-18"]


def test_axes_say_what_they_show(frames: Frames):
    figure = gradient_figures.draw_overview(frames, "alrs", "resnet20")
    curve = figure.axes[-1]
    assert curve.get_ylabel() == "held-out MAE (levels)"
    assert curve.get_title() == "(d) held-out error"
    chance = [line for line in curve.lines if line.get_linestyle() == ":"]
    assert [line.get_ydata()[0] for line in chance] == [0.6]


def test_searches_are_compared_by_it(results: Path):
    suite = mixed.make_mixed("search-comparison", "searched-layers", "fronts", seeds=[0])
    mixed.write_all(suite, results)
    frames = collected(suite, results)
    section = tables.build(frames, "search-comparison").sections[0]
    assert section.groups[0].title == "MAE, levels"
    columns = zip(*(line.entries for line in section.lines[:3]), strict=True)
    first = next(columns)
    assert [e.text for e in first if e.bold] == [min(e.text for e in first)]
    pair = tables.build(frames, "searched-layers").sections[1].lines[0].entries
    assert float(pair[3].text) < float(pair[4].text)
    assert pair[6].text == f"{2**0.5 * NOISE:.3f}"
    assert pair[5].bold == (abs(float(pair[3].text) - float(pair[4].text)) > 2**0.5 * NOISE)
    assert (
        layer_figure.panels(frames, "searched-layers", "resnet20")[0]
        .rows[0]
        .found.endswith(" levels")
    )
    axes = front_figures.draw_fronts(frames, "fronts", "resnet20").axes[0]
    assert axes.get_ylabel() == "test MAE (levels)"
