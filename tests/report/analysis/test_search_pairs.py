"""Tests of ``bitswitch.report.analysis.search_pairs``."""

from dataclasses import replace

import pandas as pd
import pytest

from bitswitch.report import statistics
from bitswitch.report.analysis import search_pairs, subnets
from bitswitch.report.analysis.search_pairs import Compared
from bitswitch.report.collect.frames import Frames
from bitswitch.report.statistics import Discordance, Paired
from tests.report.conftest import TOP1
from tests.report.mixed import kept


def rows(frames: Frames, variant: str) -> pd.DataFrame:
    found = subnets.of_experiment(frames, "search-comparison")
    return found[(found.variant == variant) & (found.budget == "average-bits-4")]


def compare(frames: Frames, one: pd.DataFrame, other: pd.DataFrame) -> Compared | str:
    return search_pairs.compare(frames, one, other, "headline", TOP1)


def test_sub_nets_are_paired_by_both_seeds(mixed_frames: Frames):
    one, other = rows(mixed_frames, "random"), rows(mixed_frames, "ilp")
    places = [
        (a["seed"], a["search_seed"], b["seed"], b["search_seed"])
        for a, b in search_pairs.partners(one, other)
    ]
    assert places == [(0, 0, 0, 0), (0, 1, 0, 0), (1, 0, 1, 0), (1, 1, 1, 0)]
    assert len(list(search_pairs.partners(one, one[one.search_seed == 1]))) == 4
    assert len(list(search_pairs.partners(one, one))) == 4
    assert not list(search_pairs.partners(one, other.assign(seed=7)))


def test_differences_are_paired_by_seed_of_training(mixed_frames: Frames):
    one, other = rows(mixed_frames, "random"), rows(mixed_frames, "ilp")
    found = compare(mixed_frames, one, other)
    assert isinstance(found, Compared)
    by_seed = one.groupby("seed").headline.mean() - other.groupby("seed").headline.mean()
    assert found.paired.mean == pytest.approx(by_seed.mean())
    assert (found.paired.seeds, found.discordant) == (2, None)


def test_examples_are_pooled_over_all_pairs(mixed_frames: Frames):
    frames = kept(mixed_frames, {"random": range(900), "ilp": range(10, 980)})
    found = compare(frames, rows(frames, "random"), rows(frames, "ilp"))
    assert isinstance(found, Compared)
    assert found.discordant is not None
    assert found.discordant[:2] == (10, 80)
    assert found.discordant.p == pytest.approx(statistics.mcnemar(10, 80))


def test_examples_of_tuned_sub_nets_are_their_own(mixed_frames: Frames):
    found = subnets.of_experiment(mixed_frames, "search-comparison")
    one = found[(found.variant == "ilp") & (found.budget == "average-bits-4")]
    frames = kept(mixed_frames, {"ilp": range(900)})
    tuned = kept(frames, {"ilp": range(950)}, "top1_retrained")
    for results, expected in ((frames, None), (tuned, (0, 0))):
        same = search_pairs.compare(results, one, one, "headline_retrained", TOP1)
        assert isinstance(same, Compared)
        assert (same.discordant and same.discordant[:2]) == expected


def test_sub_nets_that_survived_others_are_not_compared(mixed_frames: Frames):
    one, other = rows(mixed_frames, "random"), rows(mixed_frames, "ilp")
    lost = one.assign(headline_status=["collapsed", *["complete"] * (len(one) - 1)])
    assert compare(mixed_frames, lost, other) == search_pairs.SURVIVORS
    diverged = other.assign(status=["diverged", "complete"])
    assert compare(mixed_frames, one, diverged) == search_pairs.SURVIVORS


def test_what_is_missing_is_not_compared(mixed_frames: Frames):
    one, other = rows(mixed_frames, "random"), rows(mixed_frames, "ilp")
    assert compare(mixed_frames, one, other[:0]) == search_pairs.NOT_RUN
    assert compare(mixed_frames, one.assign(headline=float("nan")), other) == search_pairs.NOT_RUN
    partly = compare(mixed_frames, one, other[other.seed == 0])
    assert isinstance(partly, Compared)
    assert partly.paired.seeds == 1


def test_examples_of_a_part_of_the_sub_nets_are_none(mixed_frames: Frames):
    frames = kept(mixed_frames, {"random": range(900), "ilp": range(980)})
    some = frames.correct_examples[
        frames.correct_examples.job != rows(frames, "ilp").search.iloc[0]
    ]
    found = compare(
        replace(frames, correct_examples=some), rows(frames, "random"), rows(frames, "ilp")
    )
    assert isinstance(found, Compared)
    assert found.discordant is None


def test_tests_are_adjusted_for_each_other():
    paired = Paired.of([1.0])
    known = [Compared(paired, Discordance(1, 9, p, 0.1)) for p in (0.02, 0.001)]
    one, *others, last = search_pairs.adjusted(
        [known[0], "missing", Compared(paired, None), known[1]]
    )
    assert others == [None, None]
    assert (one, last) == (0.02, 0.002)
