"""The JSON schema of a suite file, for editors; ``load_suite`` checks more than it can say."""

from typing import Any

from bitswitch.suite.suite import Suite


def suite_schema() -> dict[str, Any]:
    """Return the schema of what a suite file may hold.

    It differs from a suite's own: a plugin may be written as its bare name, and
    experiments, their variants and the plugins of these may leave to ``experiments.yaml`` what they
    do not change.
    """
    schema = Suite.model_json_schema()
    definitions = schema["$defs"]
    for name in ("ExperimentSpec", "VariantSpec", "SearchVariantSpec", "ScoreSpec", "Choice"):
        del definitions[name]["required"]
    definitions["Choice"] = {"anyOf": [{"type": "string"}, definitions["Choice"]]}
    experiment = definitions["ExperimentSpec"]
    definitions["ExperimentSpec"] = {"anyOf": [{"type": "null"}, experiment]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
