import pickle
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bitswitch.contracts.data import Download
from bitswitch.errors import WeightsError
from bitswitch.models.weight_files import read_sets
from bitswitch.models.weights import WeightOptions, load_weights


def network(classes=4, width=3):
    torch.manual_seed(classes + width)
    return nn.Sequential(nn.Conv2d(3, width, 1), nn.BatchNorm2d(width), nn.Linear(width, classes))


PUBLISHED = WeightOptions(weights="imagenet")
FILE = Download("https://example.org/file", Path("cache/file"))


def never():
    pytest.fail("downloads")


def load(net, path, part=None):
    options = WeightOptions(weights=str(path), weights_part=part)
    load_weights(net, options, never, FILE)
    return net


def saved(path, content):
    torch.save(content, path)
    return path


def test_none_changes_nothing():
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    load(net, "none")
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def prefixed(prefix, state):
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "model_again": dict(state)},
        lambda state: {"model_state_dict": state, "optimizer": {"state": {0: {"step": state}}}},
        lambda state: prefixed("module.", state),
        lambda state: prefixed("_orig_mod.", state),
        lambda state: prefixed("module._orig_mod.", state),
        lambda state: {"state_dict": prefixed("model.", state), "epoch": 3},
        lambda state: {"state_dict": prefixed("net.", state) | {"loss.scale": torch.ones(1)}},
        lambda state: {"n_averaged": torch.tensor(3), **prefixed("module.", state)},
        lambda state: {"state_dict": state, "args": Namespace(lr=0.1), "best": np.float64(71.2)},
        lambda state: {key: x for key, x in state.items() if not key.endswith("tracked")},
    ],
)
def test_a_local_file_is_loaded(tmp_path, wrap):
    source, net = network(), network(width=3)
    nn.init.zeros_(net[0].weight)
    load(net, saved(tmp_path / "weights.pt", wrap(source.state_dict())))
    assert torch.equal(net[0].weight, source[0].weight)


def test_safetensors_are_loaded(tmp_path):
    source = network()
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    assert torch.equal(
        read_sets(tmp_path / "weights.safetensors")["."]["0.weight"], source[0].weight
    )


def test_another_number_of_classes_keeps_the_random_classifier(tmp_path):
    source, net = network(classes=9), network(classes=4)
    own = net[2].weight.clone()
    load(net, saved(tmp_path / "weights.pt", source.state_dict()))
    assert torch.equal(net[0].weight, source[0].weight)
    assert torch.equal(net[2].weight, own)


def test_published_weights_are_loaded():
    source, net = network(), network()
    nn.init.zeros_(net[0].weight)
    load_weights(net, PUBLISHED, source.state_dict, FILE)
    assert torch.equal(net[0].weight, source[0].weight)


def test_unreachable_weights_name_the_file_and_its_place():
    def unreachable():
        raise OSError("no route to host")

    with pytest.raises(WeightsError) as caught:
        load_weights(network(), PUBLISHED, unreachable, FILE)
    for part in ("no route to host", FILE.url, f"to be put at {FILE.path}"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda state: state.pop("0.weight"), "no 0.weight"),
        (lambda state: state.update(extra=torch.ones(1)), "unknown extra"),
        (lambda state: state.update({"0.bias": torch.ones(7)}), "0.bias of another shape"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, change, match):
    state = dict(network().state_dict())
    change(state)
    with pytest.raises(WeightsError, match=match) as caught:
        load(network(), saved(tmp_path / "weights.pt", state))
    assert "weights.pt" in str(caught.value)


def test_a_classifier_and_another_misfit_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="of another shape"):
        load(network(), saved(tmp_path / "weights.pt", network(classes=9, width=5).state_dict()))


def test_an_absent_file(tmp_path):
    with pytest.raises(WeightsError, match=r"There are no weights at .*gone"):
        load(network(), tmp_path / "gone.pt")


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_a_truncated_file(tmp_path, name):
    path = tmp_path / name
    save = saved if name.endswith("pt") else lambda path, state: save_file(state, path)
    save(path, network().state_dict())
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(WeightsError, match="damaged"):
        load(network(), path)


def test_code_in_a_file_is_never_run(tmp_path):
    class Harm:
        def __reduce__(self):
            return (tmp_path.joinpath("harmed").touch, ())

    path = tmp_path / "weights.pt"
    path.write_bytes(pickle.dumps({"0.weight": Harm()}, protocol=2))
    with pytest.raises(WeightsError):
        load(network(), path)
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, torch.ones(2)])
def test_a_file_without_names(tmp_path, content):
    with pytest.raises(WeightsError, match="no weights by name"):
        load(network(), saved(tmp_path / "weights.pt", content))


EMA = {
    "timm": lambda raw, ema: {"state_dict": raw, "state_dict_ema": ema},
    "torchvision": lambda raw, ema: {"model": raw, "model_ema": prefixed("module.", ema)},
    "one dict": lambda raw, ema: prefixed("student.", raw) | prefixed("teacher.", ema),
}


@pytest.mark.parametrize(
    ("layout", "part"),
    [
        ("timm", "state_dict_ema"),
        ("torchvision", "model_ema/module"),
        ("one dict", "teacher"),
    ],
)
def test_several_sets_of_weights_are_asked_about(tmp_path, layout, part):
    raw, ema = network(), network()
    nn.init.zeros_(raw[0].weight)
    path = saved(tmp_path / "weights.pt", EMA[layout](raw.state_dict(), ema.state_dict()))
    with pytest.raises(
        WeightsError, match=f"several sets of weights: .*{part}(.|\\n)*weights_part"
    ):
        load(network(), path)
    assert torch.equal(load(network(), path, part)[0].weight, ema[0].weight)
    with pytest.raises(WeightsError, match=f"Did you mean '{part}'"):
        load(network(), path, part[:-1])


def test_a_set_that_does_not_fit_is_no_choice(tmp_path):
    other = nn.Sequential(nn.Linear(3, 3)).state_dict()
    path = saved(tmp_path / "weights.pt", {"critic": other, "actor": network().state_dict()})
    assert torch.equal(load(network(width=3), path)[0].weight, network()[0].weight)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path, value):
    state = {
        name: x * value if x.is_floating_point() else x
        for name, x in network().state_dict().items()
    }
    with pytest.raises(WeightsError, match=r"NaN or infinity in 0\.weight.* and 5 more"):
        load(network(), saved(tmp_path / "weights.pt", state))


def test_what_else_a_file_holds_is_named_without_escape_codes(tmp_path):
    content = {"state_dict": network().state_dict(), "x": pytest.approx(1)}
    path = saved(tmp_path / "weights.pt", content)
    with pytest.raises(WeightsError, match=r"holds more than weights: .*approx") as caught:
        load(network(), path)
    assert "\x1b" not in str(caught.value)
    assert "weights_only=False" in str(caught.value)


def test_whether_the_classifier_was_loaded_is_told(tmp_path):
    path = saved(tmp_path / "weights.pt", network(classes=9).state_dict())
    options = WeightOptions(weights=str(path))
    assert load_weights(network(classes=9), options, never, FILE)
    assert not load_weights(network(classes=4), options, never, FILE)
    assert not load_weights(network(), WeightOptions(), never, FILE)
