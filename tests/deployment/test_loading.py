import copy
import resource
from contextlib import suppress

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitswitch.deployment import container
from bitswitch.deployment.loading import assembled, load
from bitswitch.errors import ArtifactError

LAYER = "stages.0.0.conv1"
CODES, SCALE, INPUT_SCALE = f"{LAYER}.weight.codes", f"{LAYER}.weight.scale", f"{LAYER}.input.scale"


def test_the_file_is_the_network(file):
    model = load(file)
    assert model.bitset == (4, 2)
    assert model.policy == 4
    assert len(model.layers) == 8
    assert not any(t.is_meta for t in model.net.state_dict().values())
    kinds = {name: t.dtype for name, t in model.net.state_dict().items()}
    assert [name for name in kinds if name.endswith("weight")] == ["conv1.weight", "fc.weight"]
    assert sum(kind == torch.int8 for kind in kinds.values()) == 8


def edit(place, value):
    """Return what sets one entry of the description."""

    def change(description, tensors):
        *path, last = place
        for key in path:
            description = description[key]
        description[last] = value

    return change


def tensor(name, make):
    """Return what replaces one tensor; None removes it."""

    def change(description, tensors):
        found = make(tensors.get(name))
        tensors.pop(name, None)
        if found is not None:
            tensors[name] = found

    return change


def turned(description, tensors):
    description["layers"].reverse()


def twice(description, tensors):
    description["layers"].append(description["layers"][0])


def per_token(description, tensors):
    description["layers"][0] |= {"signed": True, "input_granularity": "per-token"}
    del tensors[INPUT_SCALE]


WRONG = {
    "a missing tensor": (tensor(INPUT_SCALE, lambda t: None), f"tensor '{INPUT_SCALE}' is missing"),
    "an extra tensor": (tensor("more", lambda t: torch.zeros(1)), "'more' that the network has no"),
    "float weights": (tensor(f"{LAYER}.weight", lambda t: torch.zeros(1)), "has no place for"),
    "another shape": (tensor("fc.weight", lambda t: t[:, 1:]), r"\[10, 63\] instead of"),
    "another type": (tensor("fc.weight", lambda t: t.double()), "torch.float64"),
    "too few codes": (tensor(CODES, lambda t: t[1:]), r"uint8 \[1151\] instead of"),
    "a scale that is no number": (tensor(SCALE, lambda t: t * float("nan")), "not finite"),
    "an infinite scale": (tensor(INPUT_SCALE, lambda t: t / 0), "not finite"),
    "a scale of zero": (tensor(INPUT_SCALE, lambda t: t * 0), "not positive"),
    "a negative scale": (tensor(SCALE, lambda t: -t), "not positive"),
    "scales of another number": (
        tensor(INPUT_SCALE, lambda t: t[:1]),
        r"\[1\] instead of .* \[2\]",
    ),
    "groups that do not divide": (
        tensor(SCALE, lambda t: torch.ones(1, 16, 5)),
        r"\[1, \d+, 5\] instead of .* \[1, 1\]",
    ),
    "tokens of a convolution": (
        per_token,
        "is a convolution, whose input has no tokens",
    ),
    "a shift that is no number": (
        tensor("bn.shift", lambda t: t * float("nan")),
        "'bn.shift' has values that are not finite",
    ),
    "a bias that is no number": (tensor("fc.bias", lambda t: t * float("nan")), "not numbers"),
    "another network": (edit(["model", "name"], "resnet50"), "Options of 'resnet50'"),
    "no network": (edit(["model", "name"], "resnet8x"), "Did you mean 'resnet8'"),
    "other options": (edit(["model", "options"], {"form": "x"}), "option 'form'"),
    "more classes": (edit(["classes"], 11), r"'fc.weight' is .* instead of .* \[11, 64\]"),
    "very many classes": (edit(["classes"], 10**30), "cannot be built"),
    "a bit-width too many": (edit(["bitset"], [8, 4, 2]), "other widths than the network"),
    "codes that do not fit": (edit(["layers", 0, "widths"], [9, 2]), "layers.0.widths.0"),
    "a layer that is none": (edit(["layers", 0, "name"], "stages"), "no layer 'stages'"),
    "a batch norm that is none": (edit(["norms", 0, "name"], "fc"), "no batch norm 'fc'"),
    "another kind of batch norm": (edit(["norms", 0, "kind"], "pair"), "'bn.multiplier' is"),
    "an unknown rule": (edit(["layers", 0, "rounding"], "up"), "layers.0.rounding"),
    "an unknown key": (edit(["code"], "import os"), "wrong at 'code': Extra"),
    "another order": (turned, "not in the order"),
    "a layer twice": (twice, "have one name"),
    "no norms": (edit(["norms"], []), "batch norm 'bn' is missing"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_what_contradicts_itself_is_told(change, message, changed):
    with pytest.raises(ArtifactError, match=message):
        changed(change)


def test_codes_beyond_the_last_one_are_told(changed):
    def pad(description, tensors):
        description["bitset"] = [3, 2]
        for layer in description["layers"]:
            layer["widths"] = [3, 2]
            name = f"{layer['name']}.weight.codes"
            tensors[name] = tensors[name][: tensors[name].numel() * 3 // 4]

    assert changed(pad).bitset == (3, 2)


def test_nothing_is_downloaded_and_no_weights_are_read(changed, monkeypatch):
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", None)

    def pretrained(description, tensors):
        description["model"] = {"name": "resnet18", "options": {"weights": "imagenet"}}

    with pytest.raises(ArtifactError, match="no layer 'stages"):
        changed(pretrained)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_damaged_file_is_an_artifact_error(file, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    damaged = bytearray(file.read_bytes())
    header = 8 + int.from_bytes(damaged[:8], "little")
    anywhere = st.integers(0, header - 1) | st.integers(0, len(damaged) - 1)
    for place in data.draw(st.lists(anywhere, min_size=1, max_size=4)):
        damaged[place] ^= data.draw(st.integers(1, 255))
    if data.draw(st.booleans()):
        del damaged[data.draw(anywhere) :]
    path.write_bytes(damaged)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with suppress(ArtifactError):
        load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**16  # KiB


def places(content, path=()):
    """Yield the paths to all values of JSON-like ``content``."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_forged_description_is_an_artifact_error(file, data):
    description, tensors = container.read(file)
    forged = copy.deepcopy(description)
    paths = list(places(forged))
    *path, last = data.draw(st.sampled_from(paths))
    parent = forged
    for key in path:
        parent = parent[key]
    other = data.draw(st.sampled_from(paths))
    value = description
    for key in other:
        value = value[key]
    parent[last] = data.draw(JSON | st.just(value))
    try:
        assembled(forged, tensors, "forged")
    except ArtifactError:
        return
    # What may be said otherwise and still describe some model, once the checksum is forged too.
    free = {"run", "method", "dataset", "image", "signed", "rounding", "kind", "pinned"}
    assert forged == description or free & {*path, last}
