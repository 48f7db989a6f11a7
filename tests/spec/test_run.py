import pytest
import yaml

from bitswitch.plugins.resolve import read_run
from bitswitch.runtime.cache import digest
from bitswitch.spec.run import RunSpec, SensitivitySpec
from bitswitch.spec.search import SearchSpec
from bitswitch.suite.suite import Suite


def test_a_run_survives_being_written(tmp_path, tiny_run):
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(tiny_run().model_dump(mode="json")))
    assert read_run(path) == tiny_run()


def test_run_specs_are_frozen_and_hashable_by_content(tiny_run):
    assert tiny_run().run_id == tiny_run().run_id != tiny_run(seed=1).run_id
    with pytest.raises(ValueError, match="frozen"):
        tiny_run().seed = 3


def test_the_models_are_strict():
    for model in (Suite, RunSpec):
        assert model.model_config["extra"] == "forbid"
        assert model.model_config["frozen"]


def test_conventional_training_of_a_float_network_has_no_rates_to_adapt():
    fields = {"method": "float32", "model": "resnet8", "dataset": "digits", "bitset": [32]}
    training = {"epochs": 1, "batch_size": 8, "learning_rate": 5e-4, "update": "conventional"}
    assert RunSpec.model_validate({**fields, "training": training, "seed": 0}).is_float


def test_layers_to_keep_are_part_of_a_run_only_where_there_are_some(tiny_run):
    plain = tiny_run()
    fields = plain.model_dump(mode="json")
    assert "keep" not in fields
    empty, kept = (RunSpec.model_validate(fields | {"keep": k}) for k in ([], ["stages.0.*"]))
    assert empty.run_id == plain.run_id != kept.run_id
    assert RunSpec.model_validate(kept.model_dump(mode="json")) == kept


def test_identities_do_not_depend_on_what_a_key_is_called_now(tiny_run):
    run = tiny_run()
    scored = SensitivitySpec(sensitivity="uniform", run=run, bitset=(8,), examples=9)
    budgets = [{"cost": "size", "share": 0.5}]
    found = SearchSpec(search="ilp", run=run, budgets=budgets, sensitivity=scored, examples=7)
    guided = run.model_copy(update={"sensitivity": scored})

    def of_before(spec):
        fields = spec.model_dump(mode="json")
        for part in (fields, fields["sensitivity"]):
            if isinstance(part, dict) and "examples" in part:
                part["images"] = part.pop("examples")
        return digest(fields)[:8]

    assert scored.identifier.endswith(of_before(scored))
    assert found.identifier.endswith(of_before(found))
    assert guided.run_id.endswith(of_before(guided))
    assert "images" not in yaml.safe_dump(found.model_dump(mode="json"))
