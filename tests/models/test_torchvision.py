from urllib.error import URLError

import pytest
import torch

from bitswitch.errors import WeightsError
from bitswitch.plugins import registry

NAMES = ("resnet18", "resnet50", "mobilenetv2")


@pytest.mark.parametrize(
    ("name", "weights", "blocks"),
    [("resnet18", 11_689_512, 8), ("resnet50", 25_557_032, 16), ("mobilenetv2", 3_504_872, 17)],
)
def test_the_numbers_of_weights_and_blocks_are_the_published_ones(name, weights, blocks):
    model = registry.create("models", name, {})
    net = model.build(1000, 0)
    assert sum(p.numel() for p in net.parameters()) == weights
    assert len(model.recomputable(net)) == blocks


@pytest.mark.parametrize("name", NAMES)
def test_images_become_logits(name):
    net = registry.create("models", name, {}).build(7, 0).eval()
    with torch.no_grad():
        assert net(torch.randn(1, 3, 32, 32)).shape == (1, 7)


def test_weights_depend_on_the_seed_alone():
    state = torch.get_rng_state()
    first, second, other = (
        registry.create("models", "mobilenetv2", {}).build(3, seed).state_dict()
        for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["classifier.1.weight"], other["classifier.1.weight"])


def test_a_local_file_of_imagenet_weights_gets_a_new_classifier(tmp_path):
    source = registry.create("models", "resnet18", {}).build(1000, 0)
    path = tmp_path / "resnet18.pth"
    torch.save(source.state_dict(), path)
    net = registry.create("models", "resnet18", {"weights": str(path)}).build(10, 1)
    assert torch.equal(net.layer4[1].conv2.weight, source.layer4[1].conv2.weight)
    assert net.fc.weight.shape == (10, 512)


def test_weights_of_another_network_are_refused(tmp_path):
    source = registry.create("models", "resnet18", {}).build(1000, 0)
    torch.save(source.state_dict(), tmp_path / "resnet18.pth")
    model = registry.create("models", "resnet50", {"weights": str(tmp_path / "resnet18.pth")})
    with pytest.raises(WeightsError, match=r"do not fit ResNet: .* more"):
        model.build(1000, 0)


def test_unreachable_weights_name_the_file(monkeypatch):
    def unreachable(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    with pytest.raises(WeightsError, match=r"no route to host(.|\n)*resnet50-.*\.pth"):
        registry.create("models", "resnet50", {"weights": "imagenet"}).build(1000, 0)


def test_a_damaged_copy_of_published_weights_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "resnet18-f37072fd.pth").write_bytes(b"half of it")
    with pytest.raises(WeightsError, match=r"resnet18-f37072fd\.pth is damaged .*delete it"):
        registry.create("models", "resnet18", {"weights": "imagenet"}).build(10, 0)


@pytest.mark.parametrize(("name", "last"), [("resnet18", 128), ("resnet50", 512)])
def test_a_narrow_network_is_as_deep_and_the_published_one_keeps_its_identity(name, last):
    whole = registry.create("models", name, {}).build(3, seed=0)
    net = registry.create("models", name, {"width": 16}).build(3, seed=0)
    assert [one for one, _ in net.named_modules()] == [one for one, _ in whole.named_modules()]
    assert net.fc.weight.shape == (3, last)
    assert net.bn1.running_mean.shape == (16,)
    assert net(torch.zeros(2, 3, 36, 36)).shape == (2, 3)
    assert "width" not in registry.create("models", name, {}).options.model_dump()
