"""Verdicts on simulated suites: how often they are wrong, and how often differences are found."""

from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitswitch.report import statistics
from bitswitch.report.statistics import Evidence, detectable, discordant, judge, seeds_needed
from tests.report.statistics import page, simulation
from tests.report.statistics.redrawn import FORTY, ONE, ROUGH, slack
from tests.report.statistics.simulation import SCENARIOS

TITLE = attrgetter("title")

ALL = pytest.mark.parametrize("scenario", SCENARIOS, ids=TITLE)


@settings(max_examples=25)
@given(st.lists(st.floats(-3, 3).map(lambda value: round(value, 2)), min_size=6, max_size=9))
def test_simulated_ps_are_those_of_verdicts(differences):
    (p,) = simulation.sign_flip_ps(np.array([differences]))
    assert p == pytest.approx(statistics.sign_flip(differences))


def judged(scenario, differences):
    """Return the judgements on one suite."""
    claims = [dict(enumerate(claim.tolist())) for claim in differences]
    if scenario.margin:
        return statistics.judge_all(
            [Evidence("direction", claim, direction=0, margin=scenario.margin) for claim in claims]
        )
    return statistics.judge_all([Evidence("direction", claim) for claim in claims])


def check_verdicts(scenario, most):
    """Hold verdicts on suites with false ones, and on as many without, against the simulation."""
    differences = scenario.differences()
    adjusted = simulation.holm(scenario.ps(differences))
    wrong = (adjusted[:, scenario.true :] <= 0.05).any(axis=1)
    for at in [*np.flatnonzero(wrong)[:most], *np.flatnonzero(~wrong)[:most]]:
        found = judged(scenario, differences[at])
        assert [one.adjusted for one in found] == pytest.approx(adjusted[at], abs=1e-12)
        decided = [one.verdict not in ("no difference found", "not testable") for one in found]
        assert decided == (adjusted[at] <= 0.05).tolist()


@pytest.mark.parametrize("scenario", [SCENARIOS[0], SCENARIOS[2], SCENARIOS[-1]])
def test_some_verdicts_are_the_simulated_ones(scenario):
    check_verdicts(scenario, most=1)


@pytest.mark.long
@ALL
def test_all_false_verdicts_are_the_simulated_ones(scenario):
    check_verdicts(scenario, most=1000 // scenario.claims)


@ALL
def test_at_most_one_suite_in_twenty_has_a_false_verdict(scenario):
    assert scenario.rate() <= 0.05


def check_redrawn(scenario, suites):
    """Hold the p of claims against those of the simulation."""
    kind, margin = "direction", scenario.margin
    for bits, ps in zip(scenario.suites(suites), scenario.tests(suites).p, strict=True):
        for (left, right), p in zip(bits, ps, strict=True):
            values = 100 * (left.mean(axis=1) - right.mean(axis=1))
            claim, where = dict(enumerate(values.tolist())), discordant((left, right))
            evidence = Evidence(kind, claim, 0 if margin else 1, discordant=where, margin=margin)
            found = judge(evidence).p
            assert found > ROUGH / 2 if p > ROUGH else found == pytest.approx(p, rel=1e-4)


@pytest.mark.parametrize("scenario", [ONE[1], ONE[6], ONE[-1]], ids=TITLE)
def test_some_verdicts_are_the_simulated_ones_where_images_are_known(scenario):
    check_redrawn(scenario, suites=4)


@pytest.mark.long
@pytest.mark.parametrize("scenario", ONE + FORTY, ids=TITLE)
def test_verdicts_are_the_simulated_ones_where_images_are_known(scenario):
    check_redrawn(scenario, suites=200 // len(scenario.seeds))


def test_few_verdicts_are_false_where_images_are_drawn_anew_too():
    suites = 500
    flips, mcnemar, verdicts = ONE[7].tests(suites).rates()
    assert verdicts <= 0.05 + slack(suites) < min(flips, mcnemar)


@pytest.mark.long
@pytest.mark.parametrize("scenario", ONE + FORTY, ids=TITLE)
def test_at_most_one_suite_in_twenty_has_a_false_verdict_on_new_images(scenario):
    suites = simulation.SUITES * (4 if scenario in ONE else 1)
    assert scenario.tests(suites).rates()[-1] <= 0.05 + slack(suites)


def test_six_seeds_decide_no_claim_among_forty():
    scenario = simulation.Scenario("", 40, 6)
    found = judged(scenario, scenario.differences(1)[0] + 50)
    assert {one.verdict for one in found} == {"not testable"}


@pytest.mark.parametrize(("spread", "tests"), [(0.4, 1), (0.6, 1), (0.4, 40)])
@pytest.mark.parametrize("size", [0.63, 1.02, 2.7])
def test_printed_margins_are_found_with_the_stated_power(size, spread, tests):
    needed = seeds_needed(size, spread, tests)
    assert simulation.power(size, spread, needed, tests, suites=2000) >= 0.78
    if needed > statistics.fewest_seeds(tests):
        assert simulation.power(size, spread, needed - 1, tests, suites=2000) < 0.82


@pytest.mark.parametrize(("seeds", "tests"), [(6, 1), (11, 40), (25, 1), (25, 40)])
@pytest.mark.parametrize("shared", [0.0, 0.2, 0.5])
def test_detectable_differences_are_found_on_other_images_too(seeds, tests, shared):
    size = detectable(seeds, 1.0, tests, shared)
    assert simulation.power(size, 1.0, seeds, tests, 2000, shared) == pytest.approx(0.8, abs=0.03)


@pytest.mark.long
@pytest.mark.parametrize("scenario", ONE[:6], ids=TITLE)
def test_detectable_differences_are_found_with_the_stated_power(scenario):
    seeds = scenario.seeds[0]
    null = scenario.tests(simulation.SUITES)
    spread, shared = ((of**2).mean() ** 0.5 for of in (null.by_seeds, null.by_images))
    size = detectable(seeds, spread * seeds**0.5, 1, shared)
    found = replace(scenario, effect=size).tests(simulation.SUITES).rates()[-1]
    assert 0.78 <= found <= 0.9


@pytest.mark.long
@pytest.mark.parametrize("tests", page.FAMILIES)
@pytest.mark.parametrize("spread", page.SPREADS)
def test_every_printed_margin_is_found_with_the_stated_power(spread, tests):
    needed = {size: seeds_needed(size, spread, tests) for size in page.margins()}
    powers = [
        simulation.power(size, spread, seeds, tests)
        for size, seeds in needed.items()
        if seeds is not None
    ]
    assert min(powers) >= 0.78
