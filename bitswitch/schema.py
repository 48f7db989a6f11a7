"""The JSON schema of a suite file, for editors; ``load_suite`` checks more than it can say."""

from typing import Any

from bitswitch.suite import Suite


def suite_schema() -> dict[str, Any]:
    """Return the schema of what a suite file may hold.

    It differs from a suite's own: a plugin may be written as its bare name, and experiments and
    their arms may leave to ``experiments.yaml`` what they do not change.
    """
    schema = Suite.model_json_schema()
    definitions = schema["$defs"]
    definitions["Choice"] = {"anyOf": [{"type": "string"}, definitions["Choice"]]}
    for name in ("ExperimentSpec", "ArmSpec", "SearchArmSpec", "ScoreSpec"):
        del definitions[name]["required"]
    experiment = definitions["ExperimentSpec"]
    definitions["ExperimentSpec"] = {"anyOf": [{"type": "null"}, experiment]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
