import pytest
import torch
from PIL import Image

from bitswitch.data.digits import Digits
from bitswitch.errors import DatasetError, SpecError
from bitswitch.plugins import registry
from bitswitch.runtime.randomness import generator

CPU = torch.device("cpu")
SMALL = {"train": 60, "held_out": 20, "test": 30}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    dataset = registry.create("datasets", "digits", SMALL)
    dataset.prepare(root)
    return dataset, root


def copied(prepared, folder):
    """The prepared dataset in a folder of its own."""
    dataset, root = prepared
    dataset.path(folder).write_bytes(dataset.path(root).read_bytes())
    return dataset, dataset.path(folder)


def test_shape_and_sizes_are_known_without_data():
    dataset = Digits(Digits.Options())
    assert dataset.example(2, generator("example")).inputs.shape == (2, 3, 16, 16)
    assert dataset.sizes() == {"train": 3600, "held_out": 400, "test": 1000}
    assert dataset.stamp == "embedded digits 16x16"


def test_opened_data_are_what_was_announced(prepared):
    dataset, root = prepared
    data = dataset.open(root, CPU)
    assert {split: data.size(split) for split in dataset.sizes()} == dataset.sizes()
    batch = next(data.batches("test", 30))
    example = dataset.example(30, generator("example"))
    assert [part.shape for part in example] == [part.shape for part in batch]
    assert [part.dtype for part in example] == [part.dtype for part in batch]
    assert set(batch.targets.tolist()) == set(range(dataset.outputs))


def test_a_picture_is_seen_as_in_evaluation(prepared):
    dataset, root = prepared
    data = dataset.open(root, CPU)
    batch = next(data.batches("test", 3))
    for image, seen in zip(data.splits["test"].images, batch.inputs, strict=False):
        assert torch.equal(dataset.network_input(Image.fromarray(image.numpy())), seen)


def test_training_images_are_about_normalised(prepared):
    dataset, root = prepared
    images = next(dataset.open(root, CPU).batches("train", 60)).inputs
    assert images.mean().abs() < 0.2
    assert 0.8 < images.std() < 1.2


def test_preparing_again_changes_nothing(prepared):
    dataset, root = prepared
    before = dataset.path(root).stat().st_mtime_ns
    dataset.prepare(root)
    assert dataset.path(root).stat().st_mtime_ns == before


def test_two_folders_get_the_same_bytes(prepared, tmp_path):
    dataset, root = prepared
    dataset.prepare(tmp_path)
    assert dataset.path(tmp_path).read_bytes() == dataset.path(root).read_bytes()


def test_the_check_reports_counts_and_hash(prepared):
    dataset, root = prepared
    facts = dataset.check(root)
    assert (facts["train"], facts["held_out"], facts["test"]) == ("60", "20", "30")
    assert len(facts["sha256"]) == 64


def test_every_option_has_its_own_file(tmp_path):
    changes = [{}, {"size": 24}, {"train": 70}, {"test": 70}, {"difficulty": 0.5}]
    files = {registry.create("datasets", "digits", change).path(tmp_path) for change in changes}
    assert len(files) == len(changes)


def test_missing_data_name_the_command(tmp_path):
    dataset = registry.create("datasets", "digits", SMALL)
    for read in (lambda: dataset.open(tmp_path, CPU), lambda: dataset.check(tmp_path)):
        with pytest.raises(
            DatasetError, match=r"not found: .*\n.*bitswitch data prepare"
        ) as caught:
            read()
        assert str(dataset.path(tmp_path)) in str(caught.value)


def test_damaged_data_are_refused_and_repaired(prepared, tmp_path):
    dataset, path = copied(prepared, tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="Damaged"):
        dataset.open(tmp_path, CPU)
    dataset.prepare(tmp_path)
    assert dataset.check(tmp_path)["train"] == "60"


@pytest.mark.parametrize("options", [{"size": 4}, {"train": 0}, {"difficulty": -1}, {"tests": 10}])
def test_impossible_options_are_refused(options):
    with pytest.raises(SpecError):
        registry.create("datasets", "digits", options)
