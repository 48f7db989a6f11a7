"""Recipes that differ in what a step does; every method accepts some of them."""

from collections.abc import Iterable, Mapping
from typing import Any

from bitswitch.plugins import facts
from bitswitch.spec.run import RunSpec
from bitswitch.spec.training import TrainingSpec

CONVENTIONAL = {"update": "conventional", "alrs": None}
SEPARATE = {"update": "separate", "alrs": {"variant": "relative"}}
RECIPES = (
    {**SEPARATE, "distillation": "neighbour"},
    {**CONVENTIONAL, "distillation": "ps-kd", "clip_value": 1.0},
    {**SEPARATE, "label_smoothing": 0.1, "optimizer": "sgd"},
    CONVENTIONAL,
)


def in_turn(turn: int) -> tuple[Mapping[str, Any], ...]:
    """Return all recipes, beginning with another one at every ``turn``."""
    first = turn % len(RECIPES)
    return RECIPES[first:] + RECIPES[:first]


def first_accepted(run: RunSpec, recipes: Iterable[Mapping[str, Any]]) -> TrainingSpec:
    """Return the first of ``recipes`` that the method of ``run`` accepts."""
    fields = run.model_dump(exclude={"training"})
    kept = run.training.model_dump()
    specs = [RunSpec.model_validate({**fields, "training": kept | one}) for one in recipes]
    return next(spec for spec in specs if facts.refusal(spec) is None).training
