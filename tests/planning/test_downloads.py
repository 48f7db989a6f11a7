"""Published weights: which file goes where, before any run starts."""

from urllib.error import URLError

import pytest
import timm
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from bitswitch.cli.app import app
from bitswitch.errors import DatasetError, WeightsError
from bitswitch.planning import downloads
from bitswitch.plugins.registry import create
from bitswitch.suite.suite import read_suite, suite_path

DEIT = "deit_tiny_patch16_224.fb_in1k"
FILES = {
    "ResNet-18": "resnet18-f37072fd.pth",
    "ResNet-50": "resnet50-0676ba61.pth",
    "MobileNetV2": "mobilenet_v2-b0353104.pth",
    "DeiT-Tiny": f"{DEIT}.safetensors",
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the folder where weights are kept, on a machine without a network."""

    def unreachable(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    return tmp_path / "checkpoints"


@pytest.fixture
def paper():
    """Return one table of `paper` on every network that starts from published weights."""
    suite = read_suite(suite_path("paper"))
    table = suite.experiments["conventional-rate"]
    networks = ("resnet20", "resnet18", "resnet50", "mobilenetv2", "deit")
    table = table.model_copy(update={"networks": networks, "bitsets": None})
    return suite.model_copy(update={"experiments": {"conventional-rate": table}})


def test_every_network_says_which_file_goes_where(cache, paper):
    files = downloads.needed(paper)
    assert {title: file.path for title, file in files.items()} == {
        title: cache / name for title, name in FILES.items()
    }
    with pytest.raises(WeightsError) as error:
        downloads.fetch(files)
    text = str(error.value)
    assert text.count("no route to host") == 1
    for title, name in FILES.items():
        assert f"{title}: https://" in text
        assert f"to be put at {cache / name}" in text


def test_what_is_there_is_not_fetched_and_other_data_wait_for_nothing(cache, paper):
    cache.mkdir()
    (cache / FILES["ResNet-18"]).write_bytes(b"")
    assert set(downloads.needed(paper)) == set(FILES) - {"ResNet-18"}
    cifar10 = [key for key in paper.datasets if key.startswith("cifar10")]
    assert downloads.needed(paper, cifar10) == {}


def test_weights_of_timm_are_read_where_they_were_put(cache):
    cache.mkdir()
    net = timm.create_model(DEIT, num_classes=1000)
    save_file(net.state_dict(), cache / FILES["DeiT-Tiny"])
    model = create("models", "timm", {"architecture": DEIT, "weights": "imagenet"})
    assert model.download() is None
    assert torch.equal(model.build(1000, seed=1).head.weight, net.head.weight)
    assert model.pretrained


def test_preparing_a_suite_fetches_its_weights_before_any_run(cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(
        """
name: own
title: one row
data: published
seeds: [0]
networks:
  resnet18:
    title: ResNet-18
    published: resnet18
    model: {name: resnet18, options: {weights: imagenet}}
    dataset: imagenet
    bitsets: [[8, 4]]
    training: {epochs: 1, batch_size: 8, learning_rate: 0.001}
experiments:
  alrs: {networks: [resnet18]}
"""
    )
    command = ["data", "prepare", "--suite", "own.yaml"]
    answer = CliRunner().invoke(app, command)
    assert isinstance(answer.exception, WeightsError)
    assert f"to be put at {cache / FILES['ResNet-18']}" in str(answer.exception)
    (cache / FILES["ResNet-18"]).write_bytes(b"")
    answer = CliRunner().invoke(app, command)
    assert isinstance(answer.exception, DatasetError), "and then come the data"
    assert "ILSVRC2012_img_train.tar" in str(answer.exception)
    assert "data/imagenet" in str(answer.exception)
