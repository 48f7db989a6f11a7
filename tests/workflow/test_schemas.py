import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from bitswitch.errors import DeviceError
from bitswitch.runtime.devices import training_slots
from bitswitch.suite.schema import suite_schema

TOP = Path(__file__).resolve().parents[2]
SCHEMAS = TOP / "workflow" / "schemas"


def test_the_suite_schema_is_that_of_the_code():
    written = json.loads((SCHEMAS / "suite.schema.json").read_text())
    assert written == json.loads(json.dumps(suite_schema())), (
        "run: bitswitch schema > workflow/schemas/suite.schema.json"
    )


@pytest.mark.parametrize(
    "path", sorted((TOP / "config" / "suites").glob("*.yaml")), ids=lambda path: path.stem
)
def test_shipped_suites_fit_it(path):
    jsonschema.validate(yaml.safe_load(path.read_text()), suite_schema())


def test_an_unknown_key_does_not():
    suite = yaml.safe_load((TOP / "config" / "suites" / "mini.yaml").read_text())
    with pytest.raises(jsonschema.ValidationError, match="sedes"):
        jsonschema.validate({**suite, "sedes": [0]}, suite_schema())


def test_the_settings_fit_their_schema():
    schema = yaml.safe_load((SCHEMAS / "config.schema.yaml").read_text())
    settings = yaml.safe_load((TOP / "config" / "config.yaml").read_text())
    jsonschema.validate(settings, schema)
    assert set(settings) == set(schema["properties"])


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1", "cuda:", "mps", "CPU", "gpu"])
def test_the_settings_admit_the_devices_that_the_code_knows(device):
    schema = yaml.safe_load((SCHEMAS / "config.schema.yaml").read_text())["properties"]["device"]
    try:
        training_slots(device)
    except DeviceError:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(device, schema)
    else:
        jsonschema.validate(device, schema)
