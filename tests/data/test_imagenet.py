import pytest
import torch

from bitswitch.contracts.streams import Stream
from bitswitch.data import imagenet
from bitswitch.data.layout import Expected
from bitswitch.errors import DatasetError, SpecError
from bitswitch.plugins import registry
from bitswitch.runtime.randomness import generator

CPU = torch.device("cpu")


@pytest.fixture
def tiny(image_folder, monkeypatch):
    """ImageNet with three classes of five training and two validation images."""
    image_folder.rename(image_folder.parent / "imagenet")
    monkeypatch.setattr(imagenet.ImageNet, "outputs", 3)
    splits = {"train": Expected(15, fewest=5, most=5), "val": Expected(6, fewest=2, most=2)}
    monkeypatch.setattr(imagenet, "SPLITS", splits)
    monkeypatch.setattr(imagenet, "synsets", lambda: ["n01", "n02", "n03"])
    options = imagenet.ImageNet.Options.model_construct(
        crop=12, resize=16, smallest_area=0.08, flip=True, held_out=3
    )
    return imagenet.ImageNet(options), image_folder.parent


def test_sizes_are_known_without_data():
    dataset = registry.create("datasets", "imagenet", {})
    assert dataset.sizes() == {"train": 1_271_167, "held_out": 10_000, "test": 50_000}
    assert dataset.example(1, generator("example")).inputs.shape == (1, 3, 224, 224)
    assert (dataset.outputs, dataset.stamp) == (1000, "ImageNet")


def test_a_complete_folder_is_read(tiny):
    dataset, root = tiny
    dataset.prepare(root)
    assert dataset.check(root)["decoded"] == "6"
    data = dataset.open(root, CPU)
    assert {split: data.size(split) for split in dataset.sizes()} == dataset.sizes()
    assert next(data.train_batches(4, Stream("training"), 0, 0)).inputs.shape == (4, 3, 12, 12)


def test_the_held_out_part_is_never_trained_on(tiny):
    dataset, root = tiny
    splits = dataset.open(root, CPU).splits
    train, held_out = (set(splits[name].files.names) for name in ("train", "held_out"))
    assert not train & held_out
    assert sorted(held_out) == [b"n01/004.JPEG", b"n02/004.JPEG", b"n03/004.JPEG"]


def test_absent_data_say_where_to_get_them(tmp_path):
    dataset = registry.create("datasets", "imagenet", {})
    for use in (dataset.prepare, dataset.check, lambda root: dataset.open(root, CPU)):
        with pytest.raises(DatasetError, match=r"image-net.org(.|\n)*data check imagenet"):
            use(tmp_path)


def test_a_held_out_image_per_class_is_needed():
    with pytest.raises(SpecError, match="held_out"):
        registry.create("datasets", "imagenet", {"held_out": 1500})


def test_synsets_are_those_of_published_weights():
    names = imagenet.synsets()
    assert (len(names), names[0], names[-1]) == (1000, "n01440764", "n15075141")
    assert names == sorted(set(names))


def test_folders_named_by_numbers_are_refused(tmp_path):
    for split in ("train", "val"):
        for number in range(1000):
            (tmp_path / "imagenet" / split / str(number)).mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"not expected: 0, 1, 10 and 997 more(.|\n)*synsets"):
        registry.create("datasets", "imagenet", {}).check(tmp_path)
