import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bitswitch.errors import WeightsError
from bitswitch.models.weights import load_weights, read_file


def network(classes=4, width=3):
    torch.manual_seed(classes + width)
    return nn.Sequential(nn.Conv2d(3, width, 1), nn.BatchNorm2d(width), nn.Linear(width, classes))


def never():
    pytest.fail("downloads")


def load(net, path):
    load_weights(net, str(path), never, "https://example.org/file")
    return net


def saved(path, content):
    torch.save(content, path)
    return path


def test_none_changes_nothing():
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    load(net, "none")
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {f"module.{name}": value for name, value in state.items()},
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
    assert torch.equal(read_file(tmp_path / "weights.safetensors")["0.weight"], source[0].weight)


def test_another_number_of_classes_keeps_the_random_classifier(tmp_path):
    source, net = network(classes=9), network(classes=4)
    own = net[2].weight.clone()
    load(net, saved(tmp_path / "weights.pt", source.state_dict()))
    assert torch.equal(net[0].weight, source[0].weight)
    assert torch.equal(net[2].weight, own)


def test_published_weights_are_loaded():
    source, net = network(), network()
    nn.init.zeros_(net[0].weight)
    load_weights(net, "imagenet", source.state_dict, "https://example.org/file")
    assert torch.equal(net[0].weight, source[0].weight)


def test_unreachable_weights_name_the_file_and_the_option():
    def unreachable():
        raise OSError("no route to host")

    with pytest.raises(WeightsError) as caught:
        load_weights(network(), "imagenet", unreachable, "https://example.org/file")
    for part in ("no route to host", "https://example.org/file", "'weights'"):
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
