"""The keys of a suite file, from the models that check it."""

from collections.abc import Iterator

from pydantic import BaseModel

from bitswitch.suite.schema import suite_schema
from bitswitch.suite.suite import Suite
from bitswitch.types import Strict

from .texts import keys, said

SECTIONS = {
    "NetworkSpec": "A network: `networks.<name>`",
    "TrainingSpec": "A recipe: `training`, `float_training`",
    "AlrsSpec": "Adaptive learning-rate scaling: `training.alrs`",
    "ExperimentSpec": "An experiment: `experiments.<name>`",
    "VariantSpec": "A variant, one row: `experiments.<name>.variants.<name>`",
    "Choice": "A plugin: `model`, `dataset`, `method`, `search`, `sensitivity`",
    "StartSpec": "Where a variant starts: `start`",
    "ScoreSpec": "Scores of layers: `scores`",
    "SearchVariantSpec": "A search: `search`",
    "Budget": "A budget: `search.budgets`",
    "Beside": "What stands beside it: `beside`",
    "ClaimSpec": "A claim: `claims.<name>`",
    "Selection": "A side of a claim: `left`, `right`",
}
"""Headings of definitions, in the order of the page."""


def part() -> str:
    """Return the part.

    Raises:
        ValueError: a definition of the schema has no heading here.
    """
    schema = suite_schema()
    definitions = schema["$defs"]
    models = {model.__name__: model for model in _models(Strict)}
    linked = frozenset(definitions)
    parts = ["## The file\n", keys(schema | schema["else"], Suite, linked)]
    for name in sorted(definitions, key=list(SECTIONS).index):
        model = models[name]
        parts += [f"## {SECTIONS[name]} {{ #{name.lower()} }}\n", said(model.__doc__) + "\n"]
        parts += [keys(model.model_json_schema(), model, linked)]
    return "\n".join(parts)


def _models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield all models below ``base`` that are not options of plugins."""
    for model in base.__subclasses__():
        if model.__name__ != "Options":
            yield model
            yield from _models(model)
