"""Tests of ``bitswitch.report.tables.entries``."""

import pytest

from bitswitch.report.analysis.values import Place, Sample
from bitswitch.report.render.marks import Mark
from bitswitch.report.render.table import DASH, Footnotes
from bitswitch.report.tables import entries
from tests.report.conftest import TOP1

GOOD = Sample({0: 92.0, 1: 93.0}, (), 1000, TOP1)
LOSSES = Sample({0: 92.0, 1: 93.0}, (("collapsed", "at chance", 10.0),), 1000, TOP1)


def test_a_mean_has_its_spread_and_count():
    entry = entries.measured(GOOD, bold=True, footnotes=Footnotes())
    assert (entry.text, entry.below, entry.bold) == ("92.50", "±0.71 (2)", True)


def test_one_seed_has_no_spread():
    assert entries.measured(Sample({0: 92.0}, (), 1000, TOP1), False, Footnotes()).below == "(1)"


def test_nothing_measured_is_a_dash_with_its_reason():
    notes = Footnotes()
    failed = (("collapsed", "at chance", 9.8), ("collapsed", "at chance", 10.2))
    entry = entries.measured(Sample({}, failed, None, TOP1), False, notes)
    assert (entry.text, entry.marks) == (DASH, ("a",))
    assert notes.listed() == (("a", "2 of 2 seeds collapsed at 10.00 %: at chance"),)


def test_a_partial_cell_says_what_is_left_out():
    notes = Footnotes()
    sample = Sample({0: 92.0}, (("diverged", "loss is nan", None),), 1000, TOP1)
    entry = entries.measured(sample, False, notes)
    assert (entry.text, entry.below) == ("92.00", "(1 of 2)")
    expected = "1 of 2 seeds diverged, left out of the mean: loss is nan"
    assert notes.listed() == ((entry.marks[0], expected),)


def test_bit_widths_of_a_run_that_names_their_accuracies_share_a_footnote():
    notes, why = Footnotes(), f"at chance: 3 bit {TOP1.text(9.2)}, 2 bit {TOP1.text(10.0)}"
    marks = {
        entries.measured(Sample({}, (("collapsed", why, value),), None, TOP1), False, notes).marks
        for value in (9.2, 10.0)
    }
    assert marks == {("a",)}
    assert notes.listed() == (("a", f"collapsed: {why}"),)
    recalibrated = Sample({}, (("collapsed", why, 12.5),), None, TOP1)
    assert entries.measured(recalibrated, False, notes).marks == ("b",)
    assert notes.listed()[1][1] == f"collapsed at 12.50 %: {why}"


def test_a_place_without_runs_is_empty():
    assert entries.measured(None, False, Footnotes()).text == ""
    assert entries.difference(GOOD, None).text == ""


def test_differences_are_of_all_seeds():
    assert entries.difference(GOOD, 92.3).text == "+0.20"
    assert entries.difference(Sample({0: 92.0}, (), 1000, TOP1), 92.3).text == "\N{MINUS SIGN}0.30"
    assert entries.difference(Sample({}, (), None, TOP1), 92.3).text == DASH
    assert entries.difference(LOSSES, 92.3).text == DASH


@pytest.mark.parametrize(
    ("sample", "printed", "said"),
    [
        (GOOD, 92.3, Mark("inconclusive")),
        (Sample({0: 92.0, 1: 92.1}, (), 1000, TOP1), 92.3, Mark("match")),
        (Sample({0: 92.0, 1: 92.1}, (), 1000, TOP1), 60.0, Mark("higher")),
        (Sample({0: 92.0, 1: 92.1}, (), 1000, TOP1), 98.0, Mark("lower")),
        (Sample({0: 92.0}, (), 1000, TOP1), 92.3, Mark("not comparable", "one seed")),
        (LOSSES, 92.3, Mark("not comparable", "seeds were lost")),
        (Sample({}, (), None, TOP1), 92.3, None),
        (GOOD, None, None),
        (None, 92.3, None),
    ],
)
def test_a_value_beside_a_printed_one_is_marked(sample, printed, said):
    assert entries.mark(sample, printed, None) == said


def test_what_was_made_otherwise_is_not_comparable():
    unlike = "embedded data"
    assert entries.mark(GOOD, 92.3, unlike) == Mark("not comparable", unlike)
    assert entries.mark(GOOD, None, unlike) is None


def test_best_needs_someone_to_be_better_than():
    a, b = Place("a", "{2}", "2"), Place("b", "{2}", "2")
    other = Place("a", "{4}", "4")
    assert entries.is_best(a, {a: 2.0, b: 1.0, other: 9.0}, TOP1)
    assert not entries.is_best(b, {a: 2.0, b: 1.0}, TOP1)
    assert not entries.is_best(a, {a: 2.0, b: 2.0}, TOP1)
    assert not entries.is_best(a, {a: 2.0}, TOP1)
    assert not entries.is_best(a, {}, TOP1)


def test_searches_of_one_trained_network_give_no_interval():
    sample = Sample(
        {0: 92.0, 1: 93.0, 2: 91.0}, (), 1000, TOP1, "sub-nets", trained={0: 5, 1: 5, 2: 5}
    )
    about = entries.detail(sample)
    assert about is not None
    assert about.count == "3 sub-nets of one trained network, which gives no interval"
    assert about.interval == ""
    assert entries.measured(sample, False, Footnotes()).below == "±1.00 (3)"  # of sub-nets, as ever


def test_the_interval_is_over_trained_networks_whatever_their_searches():
    one, two = {0: 92.0, 1: 93.0}, {0: 91.0, 1: 93.0, 2: 92.5, 3: 93.5}
    once = entries.detail(Sample(one, (), 1000, TOP1, "sub-nets", trained={0: 0, 1: 1}))
    twice = Sample(two, (), 1000, TOP1, "sub-nets", trained={0: 0, 1: 0, 2: 1, 3: 1})
    about = entries.detail(twice)
    assert twice.networks == [92.0, 93.0]
    assert (once.count, about.count) == ("2 sub-nets", "4 sub-nets of 2 trained networks")
    assert about.interval == once.interval != ""
    assert about.interval == entries.detail(GOOD).interval
