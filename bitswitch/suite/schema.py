"""The JSON schema of a suite file, for editors; ``load_suite`` checks more than it can say."""

from typing import Any

from bitswitch.suite.base import CHOSEN, KEY, OWN
from bitswitch.suite.suite import Suite

BASE = {"type": "string", "description": "The suite that this one is laid over, by name or path."}
CHOSEN_DESCRIPTION = "Those of the base, and no others."
PARTIAL = (
    *("NetworkSpec", "TrainingSpec", "ExperimentSpec", "VariantSpec", "SearchVariantSpec"),
    *("ScoreSpec", "Choice"),
)
"""What may leave to another file what it does not change."""


def suite_schema() -> dict[str, Any]:
    """Return the schema of what a suite file may hold.

    It differs from a suite's own: it may name another one that it is based on, and say only what it
    changes; a plugin may be written as its bare name; and experiments, their variants and the
    plugins of these may leave to ``experiments.yaml`` what they do not change.
    """
    schema = Suite.model_json_schema()
    schema["properties"] = {KEY: BASE, **schema["properties"]}
    schema |= {
        "if": {"required": [KEY]},
        "then": {"required": list(OWN)},
        "else": {"required": schema.pop("required")},
    }
    names = {"type": "array", "items": {"type": "string"}, "description": CHOSEN_DESCRIPTION}
    schema["properties"][CHOSEN] = {"anyOf": [names, schema["properties"][CHOSEN]]}
    definitions = schema["$defs"]
    for name in PARTIAL:
        del definitions[name]["required"]
    definitions["Choice"] = {"anyOf": [{"type": "string"}, definitions["Choice"]]}
    experiment = definitions["ExperimentSpec"]
    definitions["ExperimentSpec"] = {"anyOf": [{"type": "null"}, experiment]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
