import pytest

from bitswitch.checks import CHECKS
from bitswitch.checks import run as running
from bitswitch.checks.description import card_is_complete
from bitswitch.checks.learning import finishing_leaves_it_ready
from bitswitch.checks.passes import teachers_are_earlier_passes
from bitswitch.errors import UnknownPluginError

from .plain import CARD, Plain


@pytest.fixture(autouse=True)
def few(monkeypatch):
    chosen = (card_is_complete, teachers_are_earlier_passes, finishing_leaves_it_ready)
    monkeypatch.setattr(running, "CHECKS", chosen)


def test_every_check_has_a_result(install):
    install(Plain)
    results = list(running.run("mine"))
    assert [result.check for result in results] == [
        "card_is_complete",
        "teachers_are_earlier_passes",
        "finishing_leaves_it_ready",
    ]
    assert results[0].sentence == "The card is complete."
    assert all(result.problem is None for result in results)


class Broken(Plain):
    card = CARD._replace(title="")

    def passes(self, training, moment, layers):
        return 1 / 0


def test_a_failure_stops_no_other_check(install):
    install(Broken)
    card, passes, finish = running.run("mine")
    assert card.problem == "card.title is empty."
    assert "no licence stated" in card.remedy
    assert passes.problem.startswith("ZeroDivisionError: division by zero (")
    assert f"{__file__}:" in passes.problem
    assert finish.problem.startswith("ZeroDivisionError")


class Refuses(Plain):
    def skip(self, spec):
        return "it never runs"


def test_a_method_that_refuses_everything_is_one_failure(install):
    install(Refuses)
    (result,) = running.run("mine")
    assert "it never runs" in result.problem


def test_an_unknown_method_is_told():
    with pytest.raises(UnknownPluginError):
        next(running.run("doubel-rounding"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_check_is_a_sentence(check):
    first = check.__doc__.splitlines()[0]
    assert first[0].isupper()
    assert first.endswith(".")
