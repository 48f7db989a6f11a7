"""Tests of ``bitswitch.report.claims.needs``: which jobs a claim needs."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from bitswitch.errors import SpecError
from bitswitch.report.claims.needs import chosen, restricted
from bitswitch.report.claims.resolution import check
from bitswitch.suite.claims import Kind, Measure
from bitswitch.suite.suite import Suite
from tests.report import mixed
from tests.report.conftest import make_suite

HOW_TO = Path(__file__).parents[3] / "docs" / "howto" / "check-a-claim.md"

OWN: dict[str, Any] = {
    "source": "a talk",
    "statement": "one is better",
    "kind": "direction",
    "left": {"experiment": "readings", "variants": ["relative"]},
    "right": {"experiment": "readings", "variants": ["literal"]},
}


def about(experiment: str, left: str, right: str, **cells: Any) -> dict[str, Any]:
    """Return a claim about two variants."""
    return OWN | {
        side: {"experiment": experiment, "variants": [variant], **cells}
        for side, variant in {"left": left, "right": right}.items()
    }


def test_of_a_suite_only_the_runs_of_a_claim_are_left_with_their_starts():
    suite = make_suite(claims={"mine": OWN})
    part = restricted(suite, "mine")
    assert {(cell.experiment, cell.variant) for cell in part.cells} == {
        ("readings", "relative"),
        ("readings", "literal"),
    }
    assert part.runs.keys() < suite.runs.keys()
    starts = {run.start.run_id for run in part.runs.values() if run.start}
    assert len(part.runs) == 6 + len(starts) == 9
    assert part.experiments == suite.experiments
    assert len(suite.cells) > len(part.cells)


def test_one_network_per_bit_width_is_needed_only_of_those_named():
    claim = about("separate", "separate", "separate", bitsets=[[8]])
    claim["right"] = claim["right"] | {"bitsets": [[4]]}
    claim |= {
        "left": claim["left"] | {"policies": [8]},
        "right": claim["right"] | {"policies": [4]},
    }
    part = restricted(make_suite(claims={"mine": claim}), "mine")
    assert {cell.run.bitset for cell in part.cells} == {(8,), (4,)}


def test_several_claims_need_the_jobs_of_all():
    other = about("alrs", "with-alrs", "without-alrs", bitsets=[[4, 3, 2]])
    suite = make_suite(claims={"mine": OWN, "other": other})
    both, mine, theirs = (
        restricted(suite, names).runs for names in ("mine, other", "mine", "other")
    )
    assert both.keys() == mine.keys() | theirs.keys()
    assert not mine.keys() >= theirs.keys()


@pytest.fixture
def searched() -> tuple[str, str, str]:
    """Return an experiment, a variant that is searched, and a budget as tables head it."""
    from bitswitch.report.analysis import budgets

    suite = mixed.make_mixed()
    cell = next(cell for cell in suite.run_cells if cell.search)
    assert cell.search
    return cell.experiment, cell.variant, budgets.column(cell.search.budgets[0])


def with_search(searched: tuple[str, str, str], policy: str) -> Suite:
    """Return a suite with a claim about one column of a row that is searched."""
    experiment, variant, _ = searched
    claim = about(experiment, variant, variant, policies=[policy])
    claim["right"] = claim["right"] | {"policies": ["4"]}
    return mixed.make_mixed(claims={"mine": claim})


def test_searches_are_needed_for_budgets_alone(searched: tuple[str, str, str]):
    suite = with_search(searched, searched[2])
    assert suite.deployments or suite.sensitivities
    part = restricted(suite, "mine")
    assert part.searches
    assert part.searches.keys() <= suite.searches.keys()
    widths = restricted(with_search(searched, "2"), "mine")
    assert not widths.searches
    assert widths.runs


def test_scores_are_taken_without_training_what_is_not_scored():
    claim = {"left": {"experiment": "hmt"}, "limits": {"resnet20": 2}, "measure": "scoring-time"}
    claims = {"mine": claim | {"source": "a talk", "statement": "it is fast", "kind": "cost"}}
    part = restricted(mixed.make_mixed("hmt", claims=claims), "mine")
    assert len(part.sensitivities) == 2
    assert all(run.is_float for run in part.runs.values())
    assert part.runs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("C8", "There is no claim 'C8' about suite 'tiny'"),
        ("C26,mein", "Did you mean 'mine'?"),
        (" , ", "names no claim"),
        ("mine,C08", "runs nothing that claim C08 is about: no experiment of suite 'tiny' repr"),
        ("C08", "suite 'paper' does"),
        ("C25", "no suite that comes with bitswitch does"),
    ],
)
def test_a_claim_that_cannot_be_run_is_one_error(text: str, message: str):
    with pytest.raises(SpecError) as error:
        restricted(make_suite(claims={"mine": OWN}), text)
    assert message in str(error.value)


def test_claims_are_named_once():
    assert chosen(make_suite(), "C26, C08,C26") == ("C26", "C08")


def test_claims_of_the_how_to_are_about_cells():
    blocks = re.findall(r"```yaml\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
    (content,) = (one for one in map(yaml.safe_load, blocks) if "claims" in one)
    suite = make_suite(claims=content["claims"])
    check(suite)
    for name in content["claims"]:
        assert restricted(suite, name).runs


def test_the_how_to_names_all_kinds_and_measures():
    text = HOW_TO.read_text()
    for word in (*get_args(Kind), *get_args(Measure)):
        assert f"`{word}`" in text
