"""Tests of ``bitswitch.report.tables.searched.pairs_table``."""

from pathlib import Path

import pytest

from bitswitch.errors import ReportError
from bitswitch.report import statistics
from bitswitch.report.analysis import search_pairs, subnets
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import DASH, Table
from bitswitch.report.tables import tables
from bitswitch.report.tables.searched import pairs_table
from bitswitch.report.tables.searched.pair_cells import probability
from tests.report.mixed import EXPERIMENTS, kept, make_mixed, write_all

RIGHT = {"ilp": range(900), "random": range(880), "greedy": range(8, 904)}


def build(frames: Frames) -> Table:
    return pairs_table.build(frames, "search-pairs", "t")


def test_every_other_search_stands_against_the_reference(mixed_frames: Frames):
    (section,) = build(mixed_frames).sections
    assert [line.kind for line in section.lines] == ["random", "greedy"] * 2
    assert [line.label for line in section.lines] == [
        *("average bits \N{LESS-THAN OR EQUAL TO} 4", ""),
        *("BitOps \N{LESS-THAN OR EQUAL TO} w6a6", ""),
    ]
    assert [group.title for group in section.groups] == ["cost", "found: top-1, %"]


def test_differences_and_costs_are_those_of_the_sub_nets(mixed_frames: Frames):
    (section,) = build(mixed_frames).sections
    found = subnets.of_experiment(mixed_frames, "search-pairs")
    found = found[found.budget == "average-bits-4"]
    own, other = (found[found.variant == key] for key in ("random", "ilp"))
    cost, difference = section.lines[0].entries[:2]
    assert float(cost.text) == pytest.approx(
        100 * own.average_bits.mean() / other.average_bits.mean(), abs=0.06
    )
    gap = own.groupby("seed").headline.mean() - other.groupby("seed").headline.mean()
    assert difference.text == f"{gap.mean():+.2f}".replace("-", "\N{MINUS SIGN}")
    assert difference.below.endswith("] (2)")


def test_examples_are_tested_and_adjusted_over_the_table(mixed_frames: Frames):
    (section,) = build(kept(mixed_frames, RIGHT)).sections
    ps = [statistics.mcnemar(0, 20), statistics.mcnemar(4, 8)] * 2
    for line, counts, p, adjusted in zip(
        section.lines, ["0 / 20", "4 / 8"] * 2, ps, statistics.holm(ps), strict=True
    ):
        texts = [entry.text for entry in line.entries[2:]]
        assert texts == [counts, probability(p), probability(adjusted)]
        assert line.entries[4].bold == (adjusted <= 0.05)


def test_evidence_that_was_not_kept_is_a_dash_with_its_reason(mixed_frames: Frames):
    table = build(mixed_frames)
    for line in table.sections[0].lines:
        assert line.entries[1].text != DASH
        assert (line.entries[2].text, line.entries[2].marks) == (DASH, ("a",))
    assert table.footnotes == (("a", search_pairs.NOT_KEPT),)


def test_tuned_sub_nets_are_compared_where_a_search_tunes(results: Path):
    variants = EXPERIMENTS["search-pairs"]["variants"]
    tuned = {
        key: one | {"search": variants["ilp"]["search"] | one["search"]}
        for key, one in variants.items()
    }
    suite = make_mixed(
        experiments={"search-pairs": EXPERIMENTS["search-pairs"] | {"variants": tuned}}
    )
    write_all(suite, results)
    frames = collect.collect(suite, results)
    (section,) = build(kept(frames, RIGHT)).sections
    assert [group.title for group in section.groups][1:] == ["found: top-1, %", "tuned: top-1, %"]
    assert section.lines[0].entries[2].text == "0 / 20"
    assert section.lines[0].entries[6].text == DASH


def test_without_runs_every_search_says_so(results: Path):
    frames = collect.collect(make_mixed("search-pairs"), results)
    table = build(frames)
    assert {line.entries[1].text for line in table.sections[0].lines} <= {DASH}
    assert tables.write("search-pairs", _written(frames, results))


def _written(frames: Frames, results: Path) -> Path:
    frames.write(results / frames.suite.name)
    return results / frames.suite.name


def test_a_reference_that_the_suite_leaves_out_is_told(results: Path):
    beside = {"experiment": "elsewhere", "variant": "ilp"}
    spec = EXPERIMENTS["search-pairs"] | {"beside": beside}
    suite = make_mixed(experiments={"search-pairs": spec})
    write_all(suite, results)
    table = build(collect.collect(suite, results))
    assert [line.kind for line in table.sections[0].lines][:3] == ["ILP", "random", "greedy"]
    assert table.footnotes == (("a", search_pairs.NOT_RUN),)


def test_a_reference_is_needed():
    spec = {key: one for key, one in EXPERIMENTS["search-pairs"].items() if key != "beside"}
    with pytest.raises(ReportError, match="Say which: beside"):
        tables.check(make_mixed(experiments={"search-pairs": spec}))
