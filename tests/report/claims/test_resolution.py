"""Tests of ``bitswitch.report.claims.resolution``: which cells a claim is about."""

from pathlib import Path
from typing import Any

import pytest

from bitswitch.errors import SpecError
from bitswitch.report.claims.resolution import NotCovered, Spot, check, resolve
from bitswitch.report.collect import published
from bitswitch.suite.claims import ClaimSpec
from bitswitch.suite.suite import Suite, read_suite
from tests.report.conftest import NETWORK, SHARED, make_shared, make_suite

PAPER = Path("config/suites/paper.yaml")
UNCOVERED = {"C25": "no experiment of suite 'paper' reproduces what is printed in author reply"}
"""Claims of the publication that its suite has no cells for."""


@pytest.fixture(scope="module")
def paper() -> Suite:
    return read_suite(PAPER)


@pytest.mark.parametrize("name", published.claims())
def test_every_claim_of_the_publication_has_cells_or_a_reason(name: str, paper: Suite):
    claim = published.claims()[name]
    if name in UNCOVERED:
        with pytest.raises(NotCovered, match=UNCOVERED[name]):
            resolve(claim, paper)
        return
    pairs = resolve(claim, paper)
    assert pairs
    for pair in pairs:
        assert len({spot.network for spot in pair.spots}) == 1
        assert (pair.right is None) == (claim.right is None)
        if claim.left.model:
            assert paper.networks[pair.left.network].published == claim.left.model


def resolved(name: str, suite: Suite) -> list[tuple[Spot, ...]]:
    return [pair.spots for pair in resolve(published.claims()[name], suite)]


def test_a_printed_cell_is_that_of_the_variant_published_as_its_row(paper: Suite):
    left, right = (
        ("table2", "resnet18", one, (4, 3, 2), "4") for one in ("double-rounding", "bit-mixer")
    )
    assert resolved("C08", paper) == [(Spot(*left), Spot(*right))]


def test_a_bit_set_that_is_named_is_taken(paper: Suite):
    ((left, right),) = resolved("C05", paper)
    assert left == Spot("table1", "mobilenetv2", "double-rounding-kd", (8, 6, 4), "8")
    assert right == Spot("table1", "mobilenetv2", "adabits", (8, 6, 4), "8")


def test_a_sub_net_stands_in_the_column_of_its_budget(paper: Suite):
    ((left, right),) = resolved("C23", paper)
    assert (left.variant, left.policy) == ("double-rounding-hasb-kd", "3MP")
    assert right.variant == "bit-mixer-kd"


def test_named_bit_sets_and_policies_are_paired_in_order(paper: Suite):
    found = {
        (left.bitset, left.policy, right.bitset, right.policy)
        for left, right in resolved("C27", paper)
    }
    narrow, wide = (4, 3, 2), (8, 6, 4, 2)
    assert found == {(narrow, "4", wide, "4"), (narrow, "2", wide, "2")}


def test_one_policy_is_set_against_all(paper: Suite):
    found = {(left.policy, right.policy) for left, right in resolved("C31", paper)}
    assert found == {("2", "8"), ("2", "6"), ("2", "4")}


def test_variants_are_paired_in_order(paper: Suite):
    found = {(left.variant, right.variant) for left, right in resolved("C38", paper)}
    assert ("adabits-alrs", "adabits") in found
    assert ("adabits-alrs", "bit-mixer") not in found


def test_a_bit_width_alone_fits_each_set_that_has_it(paper: Suite):
    found = {(left.bitset, right.bitset) for left, right in resolved("C29", paper)}
    assert ((8, 6, 4, 2), (8,)) in found
    assert ((4, 3, 2), (8,)) not in found


def test_limits_say_which_networks_are_meant(paper: Suite):
    assert {left.network for (left,) in resolved("C33", paper)} == {"resnet18", "resnet50"}


@pytest.mark.parametrize("data", ["embedded", "published"])
def test_networks_published_as_no_other_stand_in_on_embedded_data_alone(data: str):
    small = {"title": "small", "published": "none", **NETWORK}
    suite = make_suite(
        data=data,
        networks={"small": small},
        experiments={"table2": SHARED["table2"] | {"networks": ["small"]}},
    )
    if data == "embedded":
        assert {left.network for left, _ in resolved("C08", suite)} == {"small"}
        return
    with pytest.raises(NotCovered, match=r"table2, double-rounding: not run on resnet18 \{4,3,2\}"):
        resolved("C08", suite)


def test_a_row_that_nobody_can_run_says_why():
    suite = make_shared("table1")
    claim = published.claims()["C01"]
    hot = claim.left.model_copy(update={"method": "hot-swap"})
    with pytest.raises(NotCovered, match="no code or formula of its wavelets is public"):
        resolve(claim.model_copy(update={"left": hot}), suite)


OWN: dict[str, Any] = {
    "source": "a talk",
    "statement": "the first reading is better",
    "kind": "direction",
    "left": {"experiment": "readings", "variants": ["relative"]},
    "right": {"experiment": "readings", "variants": ["literal"]},
}


def with_claim(**changes: Any) -> Suite:
    return make_suite(claims={"mine": OWN | changes})


def test_a_claim_of_its_own_is_about_the_cells_of_a_suite():
    suite = with_claim()
    check(suite)
    pairs = resolve(suite.claims["mine"], suite)
    assert [pair.left.policy for pair in pairs] == ["8", "6", "4", "2"]


def test_claims_change_no_run():
    assert with_claim().runs == make_suite().runs


@pytest.mark.parametrize(
    ("side", "message"),
    [
        ({"experiment": "reading"}, "no experiment 'reading' there. Did you mean 'readings'?"),
        ({"experiment": "readings", "variants": ["literally"]}, "Did you mean 'literal'?"),
        ({"experiment": "readings", "networks": ["resnet2"]}, "Did you mean 'resnet20'?"),
        ({"experiment": "readings", "bitsets": [[8, 6, 4]]}, r"Did you mean '{8,6,4,2}'?"),
        ({"experiment": "readings", "policies": [3]}, "no policy '3' there"),
        (
            {"table": "table4", "method": "with-alr", "model": "resnet20"},
            "Did you mean 'table4/resnet20/with-alrs/",
        ),
    ],
)
def test_a_cell_that_cannot_exist_is_an_error_with_the_nearest(side: dict, message: str):
    with pytest.raises(SpecError, match=r"claims\.mine") as error:
        check(with_claim(left=side))
    assert message in str(error.value)


def test_one_of_several_names_that_has_no_cell_is_an_error():
    with pytest.raises(SpecError, match=r"claims\.mine: left: no policy '7' there"):
        check(
            with_claim(
                left={**OWN["left"], "policies": [8, 7]}, right={**OWN["right"], "policies": [8]}
            )
        )


def test_names_of_the_publication_are_taken():
    suite = make_suite(claims={"C08": OWN})
    with pytest.raises(SpecError, match="C08: huang2025nearly has a claim of that name"):
        check(suite)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "margin"}, "kind 'margin' needs printed"),
        ({"kind": "equivalence", "margin": 0.5}, "kind 'equivalence' needs reason"),
        ({"right": None}, "kind 'direction' needs right"),
        ({"kind": "margin", "printed": -1.0}, "printed -1 is not 'better'"),
        ({"margin": 0.5}, "margin does not belong to kind 'direction'"),
        ({"measure": "integers"}, "kind 'direction' needs measure: headline"),
        ({"left": {"experiment": "a", "table": "table1"}}, "either a printed table or an exp"),
        ({"left": {"experiment": "a", "model": "resnet18"}}, "model belongs to a printed table"),
        ({"left": {"table": "table1"}}, "name the method"),
        (
            {
                "left": OWN["left"] | {"policies": [8, 6]},
                "right": OWN["right"] | {"policies": [8, 4, 2]},
            },
            "left names 2 policies, right 3",
        ),
    ],
)
def test_a_claim_says_what_its_kind_needs(changes: dict, message: str):
    with pytest.raises(ValueError, match=message):
        ClaimSpec.model_validate(OWN | changes)
