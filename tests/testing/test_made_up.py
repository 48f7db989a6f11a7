"""Made-up pictures lie in files as real ones do."""

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import CIFAR10
from typer.testing import CliRunner

from bitswitch.cli.app import app
from bitswitch.data import imagenet
from bitswitch.data.files import made_up
from bitswitch.data.layout import Expected, Layout
from bitswitch.data.packed.form import parse
from bitswitch.errors import DatasetError, SpecError
from bitswitch.plugins import registry
from bitswitch.testing import made_up as making
from bitswitch.testing.made_up import Amount, write_cifar10, write_imagenet


@pytest.fixture(autouse=True)
def small_canvas(monkeypatch):
    monkeypatch.setattr(making, "CANVAS", 560)


def test_the_layout_is_imagenets(tmp_path):
    folder = write_imagenet(tmp_path, Amount(classes=3, per_class=4))
    splits = {"train": Expected(12, 4, 4), "val": Expected(3, 1, 1)}
    found = Layout(imagenet.synsets()[:3], splits, "").verify(folder)
    assert found["train"].names[0] == b"n01440764/n01440764_1.JPEG"
    assert found["val"].names[2] == b"n01484850/ILSVRC2012_val_00000003.JPEG"
    assert made_up(folder)["made_up"].startswith("Random noise")


def test_pictures_have_sizes_of_photographs(tmp_path):
    folder = write_imagenet(tmp_path, Amount(classes=1, per_class=40))
    paths = sorted(folder.glob("train/*/*"))
    sizes = np.array([Image.open(path).size for path in paths])
    assert len(set(map(tuple, sizes.tolist()))) == 40
    assert np.abs(sizes.mean(0) - (400, 350)).max() < 40
    assert 60_000 < np.mean([path.stat().st_size for path in paths]) < 140_000


def test_in_full_it_passes_the_check_and_says_what_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(making, "DIFFERENT", 5)
    monkeypatch.setattr(imagenet, "synsets", lambda: ["n01", "n02", "n03"])
    splits = {"train": Expected(16, fewest=5, most=6), "val": Expected(6, fewest=2, most=2)}
    monkeypatch.setattr(imagenet, "SPLITS", splits)
    monkeypatch.setattr(imagenet, "CLASSES", 3)
    folder = write_imagenet(tmp_path, Amount())
    dataset = registry.create("datasets", "imagenet", {})
    found = dataset.check(tmp_path)
    assert (found["train"], found["val"]) == ("16", "6")
    assert "Random noise" in found["made_up"]
    assert "Random noise" in dataset.provenance(tmp_path)["made_up"]
    dataset.pack(tmp_path, tmp_path / "fast", parse("original"), 0, lambda line: None)
    assert "Random noise" in dataset.provenance(tmp_path / "fast")["made_up"]
    assert len({path.stat().st_ino for path in folder.glob("train/*/*")}) == 5


def test_the_published_counts_are_within_what_a_check_allows():
    for split, expected in imagenet.SPLITS.items():
        counts = making._per_class(split, Amount(), imagenet.CLASSES)
        assert sum(counts) == expected.images
        assert expected.fewest <= min(counts) <= max(counts) <= expected.most


def test_batches_are_read_by_torchvision(tmp_path, monkeypatch):
    folder = write_cifar10(tmp_path, Amount(per_class=2))
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5: True)
    part = CIFAR10(folder, train=True)
    assert part.data.shape == (100, 32, 32, 3)
    assert np.bincount(part.targets).tolist() == [10] * 10
    assert part.classes[3] == "cat"


def test_made_up_batches_are_not_taken_for_the_published_ones(tmp_path):
    write_cifar10(tmp_path, Amount(per_class=1))
    with pytest.raises(DatasetError, match="MD5 differs"):
        registry.create("datasets", "cifar10", {}).check(tmp_path)


def test_data_are_never_replaced(tmp_path):
    (tmp_path / "imagenet").mkdir()
    with pytest.raises(DatasetError, match=r"There are data already: .*imagenet\n  name another"):
        write_imagenet(tmp_path, Amount(1, 1))


def test_there_are_no_more_classes_than_in_the_real_dataset(tmp_path):
    with pytest.raises(SpecError, match="11 classes are asked for; the dataset has 10"):
        write_cifar10(tmp_path, Amount(classes=11))
    assert list(tmp_path.iterdir()) == []


def test_the_command_makes_pictures_up(tmp_path):
    command = ["data", "fake", "imagenet", "--to", str(tmp_path), "--classes", "2"]
    answer = CliRunner().invoke(app, [*command, "--per-class", "1"])
    assert answer.exit_code == 0, answer.output
    assert len(list(tmp_path.glob("imagenet/*/*/*.JPEG"))) == 4
    answer = CliRunner().invoke(app, ["data", "fake", "cifar", "--to", str(tmp_path)])
    assert "Did you mean 'cifar10'?" in str(answer.exception)
