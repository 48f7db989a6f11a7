import pytest

from bitswitch.errors import SpecError, UnknownPluginError
from bitswitch.testing import CHECKS
from bitswitch.testing import run as running
from bitswitch.testing.datasets import DATASET_CHECKS
from bitswitch.testing.description import card_is_complete
from bitswitch.testing.learning import finishing_leaves_it_ready
from bitswitch.testing.models import MODEL_CHECKS
from bitswitch.testing.passes import teachers_are_earlier_passes
from tests.testing.plain import CARD, Plain


@pytest.fixture(autouse=True)
def few(monkeypatch):
    chosen = (card_is_complete, teachers_are_earlier_passes, finishing_leaves_it_ready)
    monkeypatch.setitem(running.SUITES, "methods", chosen)


def test_every_check_has_a_result(install):
    install(Plain)
    results = list(running.run("methods", "mine"))
    assert [result.check for result in results] == [
        "card_is_complete",
        "teachers_are_earlier_passes",
        "finishing_leaves_it_ready",
    ]
    assert results[0].sentence == "The card is complete."
    assert all(result.problem is None for result in results)


class Broken(Plain):
    card = CARD._replace(title="")

    def passes(self, training, step_info, layers):
        return 1 / 0


def test_a_failure_stops_no_other_check(install):
    install(Broken)
    card, passes, finish = running.run("methods", "mine")
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
    (result,) = running.run("methods", "mine")
    assert "it never runs" in result.problem


@pytest.mark.parametrize(("group", "name"), [("models", "resnet8"), ("datasets", "digits")])
def test_models_and_datasets_have_checks_of_their_own(group, name):
    results = list(running.run(group, name))
    assert len(results) == len(running.SUITES[group]) > 1
    assert all(result.problem is None for result in results)


def test_options_without_a_default_are_told():
    with pytest.raises(SpecError, match="architecture"):
        list(running.run("models", "timm"))


def test_an_unknown_method_is_told():
    with pytest.raises(UnknownPluginError):
        next(running.run("methods", "doubel-rounding"))


@pytest.mark.parametrize(
    "check", [*CHECKS, *MODEL_CHECKS, *DATASET_CHECKS], ids=lambda check: check.__name__
)
def test_a_check_is_a_sentence(check):
    first = check.__doc__.splitlines()[0]
    assert first[0].isupper()
    assert first.endswith(".")
