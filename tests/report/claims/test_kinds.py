"""Tests of verdicts on every kind of claim, about made-up results at published scale."""

from pathlib import Path
from typing import Any

import pytest

from bitswitch.report.claims.scorecard import ClaimRow, scorecard
from bitswitch.report.collect import collect
from bitswitch.suite.suite import Suite
from tests.report import deployment_records, mixed
from tests.report.conftest import make_suite, write_run

ABOUT: dict[str, Any] = {"source": "a talk", "statement": "it is so"}


def cells(experiment: str, variant: str, **named: Any) -> dict[str, Any]:
    return {"experiment": experiment, "variants": [variant], **named}


def row_of(suite: Suite, results: Path, name: str = "mine") -> ClaimRow:
    """Return one claim about what is there."""
    (row,) = scorecard(collect.collect(suite, results), [name])
    return row


def test_gradients_are_compared_by_their_ratio(results: Path):
    sides = zip(("left", "right"), ([2], [8, 6, 4]), strict=True)
    claim = {side: cells("one", "plain", policies=policies) for side, policies in sides}
    claim |= ABOUT | {"kind": "magnitude", "measure": "scale-gradient", "printed": 10}
    one = {"title": "One", "networks": ["resnet20"], "bitsets": [[8, 6, 4, 2]]}
    suite = make_suite(
        data="published",
        seeds=range(6),
        experiments={"one": one | {"variants": {"plain": {"title": "plain"}}}},
        claims={"mine": claim},
    )
    for run in suite.runs.values():
        write_run(run, results)
    row = row_of(suite, results)
    assert row.verdict == "holds"
    assert row.why.startswith("larger than the printed 10")
    assert row.estimate == pytest.approx(81, rel=0.2)
    assert (row.unit, row.claimed, row.seeds) == ("times", "10 times", 6)


def test_a_joint_training_is_set_beside_separate_ones(results: Path):
    claim = ABOUT | {"kind": "cost", "measure": "training-time", "printed": 10}
    claim |= {"left": cells("alrs", "with-alrs"), "right": cells("separate", "separate")}
    suite = make_suite(data="published", claims={"mine": claim})
    for run in suite.runs.values():
        write_run(run, results)
    row = row_of(suite, results)
    joint, alone = 30 * 4**0.9 + 1, 4 * 30
    assert row.verdict == "holds"
    assert row.estimate == pytest.approx(100 * (1 - joint / alone), abs=2)
    assert row.unit == "% of the separate cost"


@pytest.fixture
def searched(results: Path) -> Suite:
    """Return a suite with claims about times; all has ended."""
    limits = {"left": cells("hmt", "hmt"), "measure": "scoring-time", "limits": {"resnet20": 2}}
    late = {"left": cells("search-comparison", "ilp"), "measure": "search-time"}
    claims = {"mine": limits, "late": late | {"limits": {"resnet20": 0.01}}}
    suite = mixed.make_mixed(
        "hmt",
        "search-comparison",
        data="published",
        seeds=[0, 1, 2],
        claims={name: ABOUT | {"kind": "cost"} | one for name, one in claims.items()},
    )
    mixed.write_all(suite, results)
    return suite


def test_scores_and_searches_are_held_to_their_minutes(searched: Suite, results: Path):
    row = row_of(searched, results)
    assert row.verdict == "holds"
    assert row.estimate == pytest.approx(100 * 2.5 / 120)
    assert (row.unit, row.claimed) == ("% of the claimed time", "at most 2 minutes")
    assert "times depend on the machine" in row.why
    late = row_of(searched, results, "late")
    assert late.verdict == "contradicted"
    assert late.estimate == pytest.approx(100 * 1.5 / 0.6)


@pytest.mark.parametrize(("unexplained", "verdict"), [(0, "holds"), (2, "contradicted")])
def test_one_exception_refutes_exactness(results: Path, unexplained: int, verdict: str):
    claim = ABOUT | {"kind": "exactness", "measure": "integers"}
    claim |= {"left": cells("deployment", "double-rounding")}
    suite = deployment_records.make_deployed(data="published", claims={"mine": claim})
    for run in suite.runs.values():
        write_run(run, results)
    for run in suite.deployments.values():
        found = {"unexplained": unexplained if run.seed else 0}
        deployment_records.write_deployment(run, results, parity=found)
    row = row_of(suite, results)
    assert row.verdict == verdict
    rows = sum(map(len, suite.networks["resnet20"].bitsets))
    assert row.estimate == unexplained * rows


def test_a_text_that_its_tables_contradict_is_not_judged(results: Path):
    row = row_of(make_suite(data="published"), results, "C23")
    assert row.verdict == "the paper contradicts itself"
    assert "7.07 points, its tables give 7.02" in row.why
    assert "not run" in row.why


def test_other_data_than_printed_are_no_test(results: Path):
    suite = make_suite(data="published")
    for run in suite.runs.values():
        write_run(run, results)
    row = row_of(suite, results, "C26")
    assert (row.verdict, row.found) == ("not testable", "as claimed")
    assert row.why.startswith("digits is not cifar10")
