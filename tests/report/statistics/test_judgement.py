"""Tests of ``bitswitch.report.statistics.judgement``: one verdict after the other."""

from dataclasses import replace
from typing import get_args

import pytest

from bitswitch.errors import ReportError
from bitswitch.report.statistics import (
    VERDICTS,
    Discordance,
    Evidence,
    Verdict,
    holm,
    interval,
    judge,
    judge_all,
    said,
    sign_flip,
    student,
)

NOISE = [-0.3, 0.1, 0.2, -0.1, 0.3, -0.2, 0.0, 0.0]


FEW = Discordance(60, 20, 1e-5, 0.3)


def around(mean, seeds=8, scale=1.0):
    return {seed: mean + scale * NOISE[seed] for seed in range(seeds)}


SEEDS = list(around(1.0).values())


@pytest.mark.parametrize(
    ("evidence", "verdict", "why"),
    [
        (Evidence("direction", around(1.0)), "holds", "in the claimed direction"),
        (Evidence("direction", around(-1.0), -1), "holds", "in the claimed direction"),
        (Evidence("direction", around(-1.0)), "contradicted", "other direction"),
        (Evidence("margin", around(1.0), printed=1.1), "holds", "the printed 1.1 agrees"),
        (Evidence("margin", around(1.0), printed=0.63), "holds", "larger than the printed 0.63"),
        (Evidence("margin", around(1.0), printed=2.7), "holds, smaller", "than the printed 2.7"),
        (Evidence("margin", around(1.0), printed=2.7, noise=2.0), "holds", "agrees"),
        (Evidence("cost", around(-9.0), -1, printed=-10.0), "holds, smaller", "printed -10"),
        (Evidence("cost", around(-9.0), -1, printed=-5.0), "holds", "larger than"),
        (Evidence("magnitude", around(1.0), printed=1.0), "holds", "agrees"),
        (Evidence("margin", around(0.0), printed=0.63), "no difference found", "would find 0.2"),
        (Evidence("margin", around(0.0), printed=0.1), "no difference found", "find the printed"),
        (Evidence("margin", around(1.0, 3), printed=0.1), "not testable", "needs 6; 57 seeds"),
        (Evidence("margin", around(1.0, 1), printed=2.7), "not testable", "one seed"),
        (Evidence("margin", around(1.0, 3, 90), printed=0.1), "not testable", "not even 1000"),
        (Evidence("direction", {}), "not testable", "no seed has results of both sides"),
        (Evidence("cost", around(1.0, 2)), "not testable", "three are needed"),
        (Evidence("cost", around(1.0, 3, 0.1)), "holds", "significant"),
        (Evidence("direction", around(0.1), 0, margin=0.5), "holds", "within the margin"),
        (Evidence("direction", around(0.9), 0, margin=0.5), "contradicted", "beyond"),
        (Evidence("direction", around(-0.9), 0, margin=0.5), "contradicted", "beyond"),
        (Evidence("direction", around(0.4), 0, margin=0.5), "no difference found", "one side of"),
        (Evidence("direction", around(-0.9), 1, margin=0.5), "holds", "within"),
        (Evidence("direction", around(0.9), 1, margin=0.5), "contradicted", "beyond"),
        (Evidence("direction", around(0.9), -1, margin=0.5), "holds", "within"),
        (Evidence("direction", around(0.1, 3), 0, margin=0.2), "not testable", "no difference"),
        (Evidence("exactness", {0: 0, 1: 0}), "holds", "none in 2 seeds"),
        (Evidence("exactness", {0: 0, 1: 3}), "contradicted", "1 of 2 seeds have exceptions"),
    ],
)
def test_verdicts(evidence, verdict, why):
    found = judge(evidence)
    assert found.verdict == verdict
    assert why in found.why


def test_a_judgement_shows_what_it_rests_on():
    found = judge(Evidence("margin", around(1.0), printed=2.7))
    assert (found.seeds, found.estimate) == (8, pytest.approx(1.0))
    assert found.interval.low < found.bca.low < 1.0 < found.bca.high < found.interval.high
    assert found.p == found.adjusted == sign_flip(list(around(1.0).values())) == 2 / 2**8
    assert found.needed == 6


def test_sizes_that_were_not_found_come_with_what_would_have_been():
    found = judge(Evidence("margin", around(0.0, scale=3.0), printed=0.63))
    assert found.detectable == pytest.approx(0.69, abs=0.05)
    assert found.needed > 8


def test_a_difference_has_to_survive_other_images_too():
    seeds = Evidence("direction", around(1.0), discordant=Discordance(60, 20, 1e-5, 0.1))
    assert judge(seeds).verdict == "holds"
    assert judge(seeds).p == 2 / 2**8
    few = judge(Evidence("direction", around(1.0), discordant=Discordance(22, 20, 0.88, 0.1)))
    assert (few.verdict, few.p) == ("no difference found", 0.88)
    assert "on other examples they might not" in few.why
    wide = judge(Evidence("direction", around(1.0), discordant=Discordance(60, 20, 1e-5, 0.6)))
    assert (wide.verdict, wide.p) == ("no difference found", 2 * min(student(SEEDS, shared=0.6)))


def test_the_interval_is_that_of_both_sources():
    found = judge(Evidence("margin", around(1.0), printed=1.5, discordant=FEW))
    assert found.interval == interval(SEEDS, 0.3)
    assert found.interval.half_width > interval(SEEDS).half_width
    assert found.verdict == "holds"
    assert judge(Evidence("margin", around(1.0), printed=1.4)).verdict == "holds, smaller"
    same = Evidence("margin", around(0.0), 0, margin=0.5)
    assert judge(same).verdict == "holds"
    assert judge(replace(same, discordant=FEW)).verdict == "no difference found"


def test_verdicts_say_where_they_speak_of_these_examples_alone():
    assert "of others nothing is known" in judge(Evidence("direction", around(1.0))).why
    known = Evidence("direction", around(1.0), discordant=Discordance(60, 20, 1e-5, 0.1))
    assert "others" not in judge(known).why
    assert "others" not in judge(Evidence("magnitude", around(1.0))).why


def test_images_alone_are_never_a_verdict():
    found = judge(
        Evidence("direction", around(1.0, 5), discordant=Discordance(900, 100, 1e-99, 0.1))
    )
    assert found.verdict == "not testable"
    assert "these networks differ on the test set (900 examples to 100" in found.why
    assert "nothing of other seeds" in found.why
    alike = judge(Evidence("direction", around(1.0, 5), discordant=Discordance(9, 10, 0.9, 0.1)))
    assert "these networks do not differ" in alike.why


def test_claims_share_their_level():
    evidences = [Evidence("direction", around(mean)) for mean in (1.0, 0.0, 1.0)]
    ps = [sign_flip(list(around(mean).values())) for mean in (1.0, 0.0, 1.0)]
    assert [one.adjusted for one in judge_all(evidences)] == holm(ps)


def test_claims_that_cannot_be_significant_take_no_level_from_others():
    many = [Evidence("direction", around(1.0, 7)) for _ in range(7)]
    found = judge_all([*many, Evidence("direction", around(1.0)), Evidence("exactness", {0: 0})])
    assert {one.verdict for one in found[:7]} == {"not testable"}
    assert "among 8 claims needs 9" in found[0].why
    assert (found[7].verdict, found[7].adjusted) == ("holds", 2 / 2**8)
    assert found[8].verdict == "holds"
    assert judge(many[0]).verdict == "holds"


def test_every_verdict_is_defined():
    assert tuple(VERDICTS) == get_args(Verdict)
    assert said("not run", "bitswitch run mini").verdict in VERDICTS


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("margn", {}), "Did you mean 'margin'"),
        (("margin", {}, 0), "0 only where a margin"),
        (("margin", {}, 2, None, 0.0, None, 1.0), "direction of a claim is 2"),
        (("direction", {}, 0, None, 0.0, None, -1.0), "above 0"),
        (("margin", {}, -1, 0.63), "another sign"),
        (("margin", {3: float("nan")}), "seed 3 is not finite"),
    ],
)
def test_evidence_that_makes_no_sense_is_refused(wrong, message):
    with pytest.raises(ReportError, match=message):
        Evidence(*wrong)
