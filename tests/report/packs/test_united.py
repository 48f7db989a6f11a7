"""Tests of ``bitswitch.report.packs.united``."""

from pathlib import Path
from typing import Any

import pytest

from bitswitch.errors import RecordError, SpecError
from bitswitch.report.collect.expansion import Expansion
from bitswitch.report.packs.united import Part, united
from bitswitch.suite.suite import Suite
from tests.report.packs.conftest import suite_of

WHERE = ("networks", "experiments")


def of(where: str, seeds: list[int]) -> Suite:
    """Return a suite whose only network or experiment has these seeds."""
    content = suite_of([7]).model_dump(exclude_defaults=True)
    ((name, about),) = content[where].items()
    return suite_of([7], **{where: {name: {**about, "seeds": seeds}}})


def parts(*suites: Suite) -> list[Part]:
    return [Part(Path(f"{n}.tar.xz"), one, Expansion.of(one)) for n, one in enumerate(suites)]


@pytest.mark.parametrize("where", WHERE)
def test_seeds_of_networks_and_experiments_are_joined_too(where: str, known_plugins: None):
    whole = of(where, [0, 2, 3])
    suite, expansion = united(parts(of(where, [3, 2]), of(where, [0, 3])))
    assert (suite, expansion) == (whole, Expansion.of(whole))
    assert list(expansion.runs) == list(whole.runs)


@pytest.mark.parametrize("where", WHERE)
def test_seeds_that_one_leaves_to_the_suite_are_a_difference(where: str, known_plugins: None):
    with pytest.raises(RecordError, match=rf"1\.tar\.xz is of .*differ in {where}\.\w+\.seeds"):
        united(parts(of(where, [3]), suite_of([7])))


def test_equal_seeds_keep_their_order(known_plugins: None):
    suite, _ = united(parts(suite_of([2, 0]), suite_of([2, 0])))
    assert suite.seeds == (2, 0)


def test_seeds_of_searches_are_a_difference(known_plugins: None):
    content: Any = suite_of([0]).model_dump(exclude_defaults=True)["experiments"]
    content["accuracy"]["variants"]["searched"]["search"]["seeds"] = [0, 1]
    with pytest.raises(
        RecordError, match=r"differ in .*\.searched\.search\.seeds, and only seeds of runs"
    ):
        united(parts(suite_of([0]), suite_of([0], experiments=content)))


def test_more_than_one_suite_may_have_is_refused(known_plugins: None, monkeypatch: Any):
    both = parts(suite_of([0]), suite_of([1]))
    monkeypatch.setattr("bitswitch.suite.suite.MOST_ENTRIES", 3)
    with pytest.raises(SpecError, match=r"seeds of all packs(.|\n)*more than 3"):
        united(both)
