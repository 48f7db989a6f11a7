"""An accuracy that guessing reaches is no number, and survivors are no winners: everywhere."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from bitswitch.report.analysis import health, subnets
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.figures import front_figures, layer_figure
from bitswitch.report.render import latex, page
from bitswitch.report.render.marks import Mark
from bitswitch.report.render.table import DASH, LEGEND, Entry, Line, Table
from bitswitch.report.tables import accuracy_table, tables
from bitswitch.report.tables.searched import layer_table, search_table
from bitswitch.spec.run import RunSpec
from bitswitch.suite.suite import Suite
from tests.report import deployment_records
from tests.report.conftest import HEADLINE, alrs_of, make_suite, write_run
from tests.report.mixed import make_mixed, write_scoring, write_search

CHANCE = 10.4
"""Percent, of ten classes."""

ABOUT = f" at {CHANCE:.2f} %, left out of the mean: {HEADLINE.guessing}"


def written(suite: Suite, results: Path, is_bad: Callable[[RunSpec], bool]) -> Frames:
    """Return the results of a suite some of whose runs guess at 2 bits without knowing it."""
    for run in suite.runs.values():
        write_run(run, results, {2: CHANCE} if is_bad(run) else {})
    return collect.collect(suite, results)


def searched(results: Path, name: str, variant: str, tops: dict[str, float], seeds: Iterable[int]):
    """Return an experiment that searches, the sub-nets of one variant guessing in some seeds."""
    suite = make_mixed(name)
    bad = {
        cell.search.identifier
        for cell in suite.cells
        if cell.search and cell.variant == variant and cell.seed in seeds
    }
    for run in suite.runs.values():
        write_run(run, results)
    for scoring in suite.sensitivities.values():
        write_scoring(scoring, results)
    for key, search in suite.searches.items():
        write_search(search, results, tops if key in bad else None)
    return collect.collect(suite, results)


def row(table: Table, label: str, kind: str) -> Line:
    lines = table.sections[0].lines
    start = next(at for at, line in enumerate(lines) if line.label == label)
    return next(line for line in lines[start:] if line.kind == kind)


def notes_of(table: Table, entry: Entry) -> list[str]:
    return [dict(table.footnotes)[mark] for mark in entry.marks]


def is_survivor(run: RunSpec) -> bool:
    return alrs_of(run) == "relative" and run.seed < 2


def test_survivors_are_counted_and_nothing_is_claimed_of_them(results: Path):
    frames = written(make_suite(), results, is_survivor)
    table = accuracy_table.build(frames, "alrs", "table4")
    entry = row(table, "w. ALRS", "reproduced").entries[3]
    assert (entry.below, entry.bold) == ("(1 of 3)", False)
    assert notes_of(table, entry) == [f"2 of 3 seeds collapsed{ABOUT}"]
    assert row(table, "w. ALRS", "reproduced").entries[2].bold
    assert not row(table, "w/o ALRS", "reproduced").entries[3].bold
    effects = row(table, "w. ALRS", "effect, reproduced")
    assert [effects.entries[at].text for at in (2, 3)] == ["+0.30", DASH]
    assert "no effect is claimed where seeds of either row collapsed or diverged" in [
        dict(table.footnotes)[mark] for mark in effects.marks
    ]
    for text in (latex.table(table), page.table(table)):
        assert "(1 of 3)" in text
        assert latex.escape(LEGEND[" of "]) in text or LEGEND[" of "] in text


def test_survivors_are_not_set_against_print(published_suite: Suite, results: Path):
    frames = written(published_suite, results, is_survivor)
    table = accuracy_table.build(frames, "alrs", "t")
    difference, own = (row(table, "w. ALRS", kind) for kind in ("difference", "reproduced"))
    assert difference.entries[3].text == DASH
    assert own.entries[3].mark == Mark("not comparable", "seeds were lost")
    assert own.entries[2].mark in map(Mark, ("match", "higher", "lower", "inconclusive"))


def test_seeds_that_diverged_are_survived_in_the_same_way(results: Path):
    suite = make_suite()
    for run in suite.runs.values():
        write_run(run, results, status="diverged" if is_survivor(run) else "complete")
    table = accuracy_table.build(collect.collect(suite, results), "alrs", "table4")
    entries = row(table, "w. ALRS", "reproduced").entries[:4]
    assert [(entry.below, entry.bold) for entry in entries] == [("(1 of 3)", False)] * 4


@pytest.mark.parametrize(
    ("tops", "found", "tuned"),
    [
        ({"top1": CHANCE}, ("(1 of 2)", False), True),
        ({"top1": CHANCE, "top1_retrained": CHANCE}, ("(1 of 2)", False), False),
        ({"top1_retrained": CHANCE}, None, False),
    ],
)
def test_sub_nets_are_held_against_chance_as_found_and_as_tuned(
    results: Path, tops: dict[str, float], found: tuple[str, bool] | None, tuned: bool
):
    frames = searched(results, "search-comparison", "ilp", tops, [0])
    table = search_table.build(frames, "search-comparison", "s")
    names = [name for group in table.sections[0].groups for name in group.columns]
    line = table.sections[0].lines[0]
    first, second = (line.entries[names.index(name)] for name in ("found", "tuned"))
    if found:
        assert (first.below, first.bold) == found
        assert notes_of(table, first) == [f"1 of 2 sub-nets collapsed{ABOUT}"]
    else:
        assert first.below.endswith("(2)")
    assert second.below.endswith("(2)" if tuned else "(1 of 2)")
    assert line.entries[names.index("bits")].text  # costs do not depend on the accuracy


def test_sub_nets_that_all_guess_are_a_dash_in_every_table(results: Path):
    tops = {"top1": CHANCE, "top1_retrained": CHANCE}
    frames = searched(results, "searched-layers", "ilp", tops, [0, 1])
    table = layer_table.build(frames, "searched-layers", "l")
    bits, _, top1, _, spelled = table.sections[0].lines[0].entries
    assert top1.text == DASH
    assert notes_of(table, top1)[0].startswith(f"collapsed at {CHANCE:.2f} %")
    assert bits.text
    assert spelled.text
    assert not any("ILP" in line.kind for line in table.sections[1].lines)
    assert layer_figure.panels(frames, "searched-layers", "resnet20")[0].rows[0].found == "guessing"
    assert f"{CHANCE:.2f}" not in page.table(table).replace(f"at {CHANCE:.2f} %", "")


def test_fronts_mark_what_survived_and_leave_out_what_did_not(results: Path):
    frames = searched(results, "fronts", "hasb", {"top1": CHANCE}, [0])
    found = subnets.of_experiment(frames, "fronts")
    front = front_figures.mean_front(found[(found.variant == "hasb") & (found.bitset == "{4,3,2}")])
    assert front.lost.tolist() == [1, 1, 1]
    assert (front.headline > 50).all()
    uniform = found[found.variant == "uniform"]
    assert front_figures.mean_front(uniform[uniform.bitset == "{4,3,2}"]).lost.sum() == 0
    axes = front_figures.draw_fronts(frames, "fronts", "resnet20").axes[1]
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert sum(len(line.get_xdata()) for line in crosses) == 3


def test_parity_prints_no_accuracy_of_guessing(results: Path):
    suite = deployment_records.make_deployed()
    for run in suite.runs.values():
        write_run(run, results)
    for run in suite.deployments.values():
        parity = {"headline_trained": CHANCE, "headline_integer": CHANCE} if run.seed else {}
        deployment_records.write_deployment(run, results, parity)
    table = tables.build(collect.collect(suite, results), "deployment")
    trained, integers, fast, differing, *_ = table.sections[0].lines[0].entries
    assert (trained.below, integers.below, fast.below[-3:]) == ("(1 of 2)", "(1 of 2)", "(2)")
    assert notes_of(table, trained) == [f"1 of 2 seeds collapsed{ABOUT}"]
    assert differing.below == "of 2000"


def test_the_summary_counts_them(results: Path):
    frames = written(make_suite(), results, is_survivor)
    facts = dict(health.summary(frames))
    counted = facts["test accuracy no better than guessing"]
    assert counted.startswith("4 of ")  # two bit sets, two seeds
    assert "guessing" not in " ".join(dict(health.summary(written_well(results / "good"))))


def written_well(results: Path) -> Frames:
    return written(make_suite(), results, lambda run: False)


@pytest.mark.parametrize("kind", ["folder", "mixed_folder"])
def test_plus_minus_is_explained_wherever_it_stands(kind: str, request: pytest.FixtureRequest):
    frames = Frames.read(request.getfixturevalue(kind))
    for name in tables.names(frames.suite):
        table = tables.build(frames, name)
        below = [e.below for s in table.sections for line in s.lines for e in line.entries]
        spreads = [text for text in below if "±" in text]
        assert all("(" in text for text in spreads), (name, spreads)
        for text in (latex.table(table), page.table(table)):
            stated = LEGEND["±"] in text or latex.escape(LEGEND["±"]) in text
            assert stated == bool(spreads), name
