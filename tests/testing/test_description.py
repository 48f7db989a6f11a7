from typing import ClassVar

import pytest

from bitswitch.contracts.card import Recipe
from bitswitch.testing import CheckFailed, Subject, description
from bitswitch.testing.description import (
    card_is_complete,
    learned_scales_are_known,
    recipes_can_be_used,
    refusals_are_sentences,
    source_is_cited,
)
from tests.testing.plain import CARD, Plain


def with_attributes(**attributes):
    return type("Changed", (Plain,), attributes)


CARDS = {
    "missing": (None, "has no card"),
    "no text": (CARD._replace(left_open=None), "card.left_open is None"),
    "no title": (CARD._replace(title=" "), "card.title is empty"),
    "no licence": (CARD._replace(licence=""), "card.licence is empty"),
    "unknown fidelity": (CARD._replace(fidelity="good"), "vectors, equations, partial"),
    "unknown storage": (CARD._replace(storage="ints"), "codes, floats"),
    "partial, nothing missing": (CARD._replace(fidelity="partial"), "'partial' says"),
    "missing, not partial": (CARD._replace(missing="The search."), "'partial' says"),
}


@pytest.mark.parametrize(("card", "message"), CARDS.values(), ids=CARDS)
def test_an_incomplete_card_is_told(subject_of, card, message):
    with pytest.raises(CheckFailed, match=message):
        card_is_complete(subject_of(with_attributes(card=card)))


def test_a_source_is_a_key(subject_of):
    with pytest.raises(CheckFailed, match="source is 'Some One'"):
        source_is_cited(subject_of(with_attributes(source="Some One")))


def test_the_source_of_a_builtin_is_in_the_bibliography(monkeypatch, tmp_path):
    subject = Subject.of("double-rounding")
    empty = tmp_path / "references.bib"
    empty.touch()
    monkeypatch.setattr(description, "asset", lambda name: empty)
    with pytest.raises(CheckFailed, match=r"not in report/references.bib"):
        source_is_cited(subject)


def test_the_source_of_a_stranger_is_its_own_business(subject_of):
    source_is_cited(subject_of(Plain))


class Picky(Plain):
    published_recipes: ClassVar = {"cifar10": Recipe(training={"epochs": 7})}

    def skip(self, spec):
        return "it takes three epochs at most" if spec.training.epochs > 4 else None


RECIPES = {
    "unknown field": ({"cifar10": Recipe({"epoch": 3})}, "cannot be used"),
    "unknown option": ({"cifar10": Recipe({}, {"speed": 3})}, "cannot be used"),
    "impossible value": ({"imagenet": Recipe({"epochs": 0})}, "for 'imagenet' cannot be used"),
    "unknown dataset": ({"mnist": Recipe({})}, "named after cifar10 and imagenet"),
}


@pytest.mark.parametrize(("published_recipes", "message"), RECIPES.values(), ids=RECIPES)
def test_a_recipe_that_cannot_be_used_is_told(subject_of, published_recipes, message):
    with pytest.raises(CheckFailed, match=message):
        recipes_can_be_used(subject_of(with_attributes(published_recipes=published_recipes)))


def test_a_method_may_not_refuse_its_own_recipe(subject_of):
    with pytest.raises(CheckFailed, match="refuses its own recipe"):
        recipes_can_be_used(subject_of(Picky))


def answers(reason):
    return with_attributes(skip=lambda self, spec: None if spec.bitset == (8, 4, 2) else reason)


@pytest.mark.parametrize("reason", ["no", "", 7, "two lines\nof reasons are too many"])
def test_a_refusal_must_say_why(subject_of, reason):
    with pytest.raises(CheckFailed, match=r"skip\(\) answers"):
        refusals_are_sentences(subject_of(answers(reason)))


def test_a_sentence_is_accepted(subject_of):
    refusals_are_sentences(subject_of(answers("it has no such bit-widths")))


def test_learned_scales_that_are_denied_are_told(subject_of):
    learned_scales_are_known(subject_of(Plain))
    with pytest.raises(CheckFailed, match="learns_scales is False, and the network has learned"):
        learned_scales_are_known(subject_of(with_attributes(learns_scales=False)))
