import pickle
from urllib.error import URLError

import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10

from bitswitch.data.cifar10 import LOOK
from bitswitch.errors import DatasetError
from bitswitch.plugins import registry
from bitswitch.runtime.randomness import generator

CPU = torch.device("cpu")
BATCHES = CIFAR10.base_folder


def cifar10(held_out=20):
    return registry.create("datasets", "cifar10", {"held_out": held_out})


def stored_image(root, name, number):
    """One image [3, 32, 32] straight from a batch file."""
    content = pickle.loads((root / "cifar10" / BATCHES / name).read_bytes())
    return torch.from_numpy(content["data"][number].copy()).view(3, 32, 32)


def test_sizes_are_known_without_data():
    dataset = cifar10(1000)
    assert dataset.sizes() == {"train": 49_000, "held_out": 1000, "test": 10_000}
    assert (dataset.example(2, generator("example")).inputs.shape, dataset.outputs) == (
        (2, 3, 32, 32),
        10,
    )


def test_the_published_files_are_read(cifar_root):
    data = cifar10().open(cifar_root, CPU)
    assert [data.size(split) for split in ("train", "held_out", "test")] == [180, 20, 40]
    batch = next(data.batches("test", 40))
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (LOOK.mean, LOOK.std))
    expected = (stored_image(cifar_root, "test_batch", 7) / 255 - mean) / std
    torch.testing.assert_close(batch.inputs[7], expected, atol=1e-5, rtol=1e-5)
    assert batch.targets[7] == 7


def test_held_out_images_are_the_last_of_each_class(cifar_root):
    data = cifar10().open(cifar_root, CPU)
    held_out = data.splits["held_out"]
    assert held_out.targets.bincount().tolist() == [2] * 10
    last = stored_image(cifar_root, "data_batch_5", 39).permute(1, 2, 0)
    assert torch.equal(held_out.images[-1], last)
    train = data.splits["train"].images.flatten(1).unique(dim=0)
    both = torch.cat([train, held_out.images.flatten(1)]).unique(dim=0)
    assert len(both) == len(train) + 20


def test_training_pads_crops_and_mirrors(cifar_root):
    data = cifar10().open(cifar_root, CPU)
    assert (data.look.padding, data.look.flip) == (4, True)


def test_the_check_prints_the_measured_statistics(cifar_root):
    facts = cifar10().check(cifar_root)
    assert (facts["train"], facts["test"]) == ("200", "40")
    assert facts["mean"].startswith("[0.4") or facts["mean"].startswith("[0.5")


def test_missing_data_name_file_and_command(tmp_path):
    with pytest.raises(DatasetError, match=r"not found: .*data_batch_1\n.*bitswitch data prepare"):
        cifar10().open(tmp_path, CPU)


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_damaged_file_is_named(cifar_root, name):
    path = cifar_root / "cifar10" / BATCHES / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=rf"MD5 differs\): .*{name}"):
        cifar10().check(cifar_root)


def test_a_strange_pickle_is_never_loaded(cifar_root, tmp_path):
    class Harm:
        def __reduce__(self):
            return (tmp_path.joinpath("harmed").touch, ())

    path = cifar_root / "cifar10" / BATCHES / "test_batch"
    path.write_bytes(pickle.dumps(Harm()))
    with pytest.raises(DatasetError):
        cifar10().open(cifar_root, CPU)
    assert not (tmp_path / "harmed").exists()


def test_complete_data_are_not_downloaded(cifar_root, monkeypatch):
    monkeypatch.setattr(CIFAR10, "download", lambda self: pytest.fail("downloads"))
    cifar10().prepare(cifar_root)


def test_an_unreachable_host_names_the_file_to_fetch(tmp_path, monkeypatch):
    def unreachable(self):
        raise URLError("no route")

    monkeypatch.setattr(CIFAR10, "download", unreachable)
    with pytest.raises(DatasetError, match=r"no route(.|\n)*cifar-10-python.tar.gz"):
        cifar10().prepare(tmp_path)


def test_a_damaged_archive_is_named_where_no_other_can_be_had(tmp_path, monkeypatch):
    def unreachable(self):
        raise URLError("no route")

    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / CIFAR10.filename).write_bytes(b"half of it")
    monkeypatch.setattr(CIFAR10, "download", unreachable)
    with pytest.raises(
        DatasetError, match=r"gz is damaged \(MD5 of its 10 bytes differs\)(.|\n)*no route"
    ):
        cifar10().prepare(tmp_path)


def test_a_picture_is_seen_as_in_evaluation(cifar_root):
    dataset = registry.create("datasets", "cifar10", {"held_out": 10})
    data = dataset.open(cifar_root, torch.device("cpu"))
    batch = next(data.batches("test", 3))
    for image, seen in zip(data.splits["test"].images, batch.inputs, strict=False):
        assert torch.equal(dataset.network_input(Image.fromarray(image.numpy())), seen)
