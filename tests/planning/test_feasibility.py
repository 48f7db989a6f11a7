import re
from pathlib import Path

import pytest
import yaml
from safetensors.torch import save_file

from bitswitch.errors import BitswitchError, BitWidthError, PluginError, SpecError
from bitswitch.planning import feasibility
from bitswitch.plugins import registry
from bitswitch.runtime import cache
from bitswitch.suite.suite import Suite, load_suite, read_suite, suite_path

DIGITS = {"name": "digits", "options": {"size": 32, "train": 64, "held_out": 20, "test": 40}}
VIT = {"img_size": 32, "patch_size": 16, "depth": 1, "embed_dim": 24, "num_heads": 1}


@pytest.fixture(autouse=True)
def forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", tmp_path)


@pytest.fixture
def check(tmp_path):
    """Write a suite with one network and one variant, load it and check it."""

    def check(network=(), **variant):
        training = {"epochs": 1, "batch_size": 16, "learning_rate": 5e-4}
        content = {
            "name": "own", "title": "Own", "data": "embedded", "seeds": [0],
            "networks": {"net": {
                "title": "Net", "published": "none", "model": "resnet8", "dataset": DIGITS,
                "bitsets": [[8, 4]], "float_training": training, "training": training,
                **dict(network),
            }},
            "experiments": {"mine": {"title": "Mine", "networks": ["net"], "variants": {
                "variant": {"title": "Row", **variant}
            }}},
        }  # fmt: skip
        path = tmp_path / "own.yaml"
        path.write_text(yaml.safe_dump(content))
        feasibility.check(load_suite(path))

    return check


def timm(architecture="vit_tiny_patch16_224", **arguments):
    options = {"architecture": architecture, "arguments": arguments}
    return {"model": {"name": "timm", "options": options}}


@pytest.mark.parametrize(
    "network",
    [{}, timm(**VIT), timm(**VIT, drop_path_rate=1e-1), timm("resnet10t", layers=[1, 1, 1, 1])],
)
def test_networks_that_can_be_built_pass(check, network):
    check(network)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 100}, "'num_classes' is the number of the dataset's classes: leave it"),
        ({"in_chans": 1}, "'in_chans' is 3, as datasets give: leave it out"),
        ({"pretrained": True}, "say where weights come from in the model's option 'weights'"),
        ({"depth": {"a": 1}}, "'depth' is {'a': 1}: numbers, words, true, false"),
        ({"qkv_bias": "off"}, "'qkv_bias' is the word 'off': write true or false"),
        ({"imgsize": 32}, "networks.net: build() of model 'timm' fails: TypeError"),
        ({**VIT, "depth": "two"}, "networks.net: build() of model 'timm' fails"),
        ({**VIT, "img_size": 48}, "forward() of a 3 x 32 x 32 input of dataset 'digits' of model"),
    ],
)
def test_arguments_that_timm_does_not_take_are_named(check, arguments, message):
    with pytest.raises(BitswitchError) as caught:
        check(timm(**arguments))
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            {"weight_granularity": "per-group-32"},
            r"networks\.net: Layer 'stages.*parted into groups",
        ),
        ({"activation_granularity": "per-token"}, "networks.net: Layer 'stages.*has no tokens"),
    ],
)
def test_scales_that_a_layer_cannot_have_are_told_before_any_job(check, option, message):
    with pytest.raises(SpecError, match=message):
        check(method={"name": "double-rounding", "options": option})
    check(method={"name": "double-rounding", "options": {"weight_granularity": "per-group-16"}})
    check(
        timm(**VIT),
        method={
            "name": "double-rounding",
            "options": option | {"weight_granularity": "per-group-8"},
        },
    )


def test_layers_to_keep_are_those_of_the_network(check):
    check({"keep": ["stages.0.*"]})
    with pytest.raises(BitWidthError, match=r"networks\.net: 'keep' names 'layer9\.\*'"):
        check({"keep": ["layer9.*"]})


def test_layers_that_no_bit_width_reaches_are_named_before_any_job(check):
    eva = {"img_size": 32, "patch_size": 16, "depth": 1, "embed_dim": 48, "num_heads": 3}
    with pytest.raises(BitWidthError, match=r"(?s)networks\.net: .*which no bit-width reaches"):
        check(timm("beit_base_patch16_224", **eva))


@pytest.mark.parametrize(
    ("search", "cost", "message"),
    [
        ({"name": "ilp", "options": {"budget_kind": "exact"}}, "size", "budget_kind 'exact' is"),
        ({"name": "sort", "options": {"rule": "closed-form"}}, "bitops", "linear in bits"),
        ("uniform", "latency", "a budget on latency needs a table"),
    ],
)
def test_budgets_that_a_search_cannot_meet_are_refused(check, search, cost, message):
    budgets = [{"cost": cost, "of_uniform": 4}]
    with pytest.raises(SpecError, match=message):
        check(search={"search": search, "budgets": budgets, "scores": {"sensitivity": "uniform"}})


def test_made_up_weights_that_are_not_there_say_how_to_make_them(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", cache.FOLDER.absolute())
    content = read_suite(suite_path("rehearsal")).model_dump(exclude_unset=True)
    monkeypatch.chdir(tmp_path)
    table = content["experiments"]["conventional-rate"] | {"networks": ["resnet18"]}
    suite = Suite.model_validate(content | {"experiments": {"conventional-rate": table}})
    with pytest.raises(SpecError) as error:
        feasibility.check(suite)
    assert "no weights at data/made-up/weights/resnet18-f37072fd.pth" in str(error.value)
    assert "'bitswitch data fake --suite rehearsal'" in str(error.value)


def test_weights_that_are_not_there_are_named(check, tmp_path):
    model = {"name": "timm", "options": {"architecture": "resnet10t", "weights": "no/such.pt"}}
    with pytest.raises(SpecError, match=r"There are no weights at no/such\.pt, of model 'timm'"):
        check({"model": model, "float_training": None})
    there = tmp_path / "weights.pt"
    there.touch()
    check({"model": {"name": "timm", "options": {**model["options"], "weights": str(there)}}})


def test_batches_larger_than_the_training_split_are_refused(check):
    with pytest.raises(SpecError, match=r"training\.batch_size 65 is larger than the 64 training"):
        check({"training": {"epochs": 1, "batch_size": 65, "learning_rate": 5e-4}})


SEARCH = {"budgets": [{"cost": "latency", "of_uniform": 4}], "search": "uniform"}


def test_tables_of_latencies_are_read(check, tmp_path):
    with pytest.raises(SpecError, match=re.escape("no/such.csv is no latency table")):
        check(search={**SEARCH, "latency_table": "no/such.csv"})
    table = Path(tmp_path / "table.csv")
    table.write_text("layer,weight_bits,activation_bits,latency_ms\na,8,8,1.0\n")
    check(search={**SEARCH, "latency_table": str(table)})


def test_what_a_retraining_takes_is_checked_too(check):
    budgets = [{"cost": "average-bits", "at_most": 4}]
    with pytest.raises(SpecError, match=r"retraining\.batch_size 100 is larger than the 64"):
        check(search={"search": "uniform", "budgets": budgets, "retraining": {"batch_size": 100}})


def test_a_network_with_other_outputs_is_refused(check, monkeypatch):
    from torch import nn

    from bitswitch.models.cifar_resnet import ResNet8

    def build(self, outputs, seed):
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 3))

    monkeypatch.setattr(ResNet8, "build", build)
    with pytest.raises(PluginError, match=r"output of shape \[1, 3\].* has 10 outputs"):
        check()


@pytest.mark.parametrize(
    ("search", "least"),
    [
        ("greedy", 9),  # ResNet-8 has 8 layers that can be switched
        ("haq", 2),
        ({"name": "genetic", "options": {"fitness": "predictor"}}, 3),
        ({"name": "greedy", "options": {"measure": "headline"}}, 9),
    ],
)
def test_fewer_evaluations_than_a_search_needs_are_refused(check, search, least):
    variant = {"search": search, "budgets": [{"cost": "average-bits", "at_most": 6}]}
    name = search if isinstance(search, str) else search["name"]
    needs = f"variants.variant on net: search '{name}' needs at least {least} .* 8 layers of model"
    with pytest.raises(SpecError, match=rf"{needs} 'resnet8'; search.evaluations is {least - 1}"):
        check(search={**variant, "evaluations": least - 1})
    check(search={**variant, "evaluations": least})


def test_layers_that_stay_at_full_precision_need_no_evaluation(check):
    variant = {"search": "greedy", "budgets": [{"cost": "average-bits", "at_most": 6}]}
    kept = {"keep": ["stages.2.*"]}  # three of the eight
    with pytest.raises(SpecError, match="needs at least 6 evaluations"):
        check(kept, search={**variant, "evaluations": 5})
    check(kept, search={**variant, "evaluations": 6})


PLAYS = {"name": "shakespeare", "options": {"epoch_windows": 16}}


def test_a_prediction_for_every_token_is_refused_before_any_job(check):
    training = {"distillation": "ps-kd"}
    network = {"model": "llama-tiny", "dataset": PLAYS}
    check(network)
    with pytest.raises(SpecError, match=r"'ps-kd' keeps .* tokens x vocabulary"):
        check(network, training=training)


def test_inputs_that_no_layer_has_are_refused_before_any_job(check):
    network = {"model": "llama-tiny", "dataset": PLAYS}
    check(network, float_inputs="all")
    with pytest.raises(BitWidthError, match="'float_inputs' names 'mlp'"):
        check(network, float_inputs=["mlp"])
    with pytest.raises(BitswitchError, match="write a list of layers, or all or none"):
        check(network, float_inputs="silu")


def test_a_network_that_takes_no_tokens_is_refused(check):
    with pytest.raises(PluginError, match="model 'resnet8'"):
        check({"dataset": PLAYS})


def test_optional_networks_are_left_out_until_their_files_are_there(tmp_path):
    """Whoever has other data runs the rest; plans count the whole."""
    paths = {name: str(tmp_path / name) for name in ("weights", "train", "held_out", "test")}
    texts = {split: paths[split] for split in ("train", "held_out", "test")}
    sizes = {"train": 16, "held_out": 1, "test": 1}
    training = {"epochs": 1, "batch_size": 16, "learning_rate": 5e-4}
    size = {"width": 8, "ffn": 8, "blocks": 1, "heads": 1, "kv_heads": 1}
    text = {
        "title": "Text", "published": "none", "bitsets": [[8, 4]], "training": training,
        "optional": True,
        "model": {"name": "llama", "options": {**size, "weights": paths["weights"]}},
        "dataset": {"name": "text-files", "options": {
            **texts, "context": 8, "vocabulary": 300, "sizes": sizes,
        }},
    }  # fmt: skip
    digits = {**text, "title": "Net", "optional": False, "model": "resnet8", "dataset": DIGITS}
    mine = {"title": "Mine", "networks": ["text", "net"], "variants": {"row": {"title": "Row"}}}
    content = {
        "name": "own", "title": "Own", "data": "embedded", "seeds": [0],
        "networks": {"text": text, "net": digits},
        "experiments": {"mine": mine, "other": {**mine, "networks": ["text"]}},
    }  # fmt: skip
    path = tmp_path / "own.yaml"

    def loaded(**changes):
        path.write_text(yaml.safe_dump(content | changes))
        suite = load_suite(path)
        feasibility.check(suite)
        return suite

    whole = loaded()
    (said,) = feasibility.absent(whole).values()
    assert said.startswith("Text is left out of suite 'own' until there is something at ")
    assert all(one in said for one in paths.values())
    left = feasibility.present(whole)
    assert set(left.experiments) == {"mine"}
    assert {run.model.name for run in left.runs.values()} == {"resnet8"}
    assert len(whole.runs) == len(left.runs) + 1
    with pytest.raises(SpecError, match=r"No run is left\.\nText is left out"):
        feasibility.present(loaded(experiments={"other": content["experiments"]["other"]}))
    for name in texts.values():
        Path(name).write_text("a text that is long enough for sixteen windows " * 9)
    save_file(registry.create("models", "llama", size).build(300, 0).state_dict(), paths["weights"])
    whole = loaded()
    assert feasibility.absent(whole) == {}
    assert feasibility.present(whole) is whole
    Path(paths["weights"]).unlink()
    with pytest.raises(SpecError, match="There are no weights at"):
        loaded(networks={"text": {**text, "optional": False}, "net": digits})
