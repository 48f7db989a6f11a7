import shutil

import pytest
import torch
from typer.testing import CliRunner

from bitswitch.cli.app import app
from bitswitch.contracts.streams import Stream
from bitswitch.data import imagenet
from bitswitch.data.folder import Files
from bitswitch.data.layout import Expected
from bitswitch.data.packed.boxes import BoxedCrops
from bitswitch.data.packed.form import parse
from bitswitch.data.packed.shards import Shards
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


def opened(tiny, **options):
    dataset, root = tiny
    dataset.options = dataset.options.model_copy(update=options)
    return dataset.open(root, CPU)


def epoch(data):
    return list(data.train_batches(4, Stream("training"), 0, 0))


def same(left, right):
    return all(
        torch.equal(a, b)
        for one, two in zip(left, right, strict=True)
        for a, b in zip(one, two, strict=True)
    )


def test_packed_originals_are_read_without_a_word(tiny):
    dataset, root = tiny
    before = opened(tiny)
    plain = epoch(before), list(before.batches("test", 4))
    pack(tiny, "original")
    shutil.rmtree(root / "imagenet")
    after = opened(tiny)
    assert isinstance(after.splits["train"].files, Shards)
    assert same(plain[0], epoch(after))
    assert same(plain[1], after.batches("test", 4))
    assert dataset.provenance(root)["packed"] == "original"
    assert dataset.stamp == "ImageNet"


def pack(tiny, word, to=None):
    dataset, root = tiny
    return dataset.pack(root, to or root, parse(word), 0, lambda line: None)


def test_other_pixels_are_read_where_a_setting_names_them(tiny):
    dataset, root = tiny
    plain = opened(tiny)
    pack(tiny, "raw-32")
    assert isinstance(opened(tiny).splits["train"].files, Files)
    assert dataset.provenance(root) == {}
    data = opened(tiny, packed="raw-32")
    assert isinstance(data.splits["train"], BoxedCrops)
    assert {split: data.size(split) for split in dataset.sizes()} == dataset.sizes()
    assert not same(epoch(plain), epoch(data))
    assert dataset.stamp == "ImageNet packed as raw-32"
    found = dataset.provenance(root)
    assert (found["packed"], len(found["packed_hash"])) == ("raw-32", 16)


def test_networks_are_tested_on_original_files(tiny):
    plain = opened(tiny)
    pack(tiny, "jpeg-32-10")
    assert same(plain.batches("test", 4), opened(tiny, packed="jpeg-32-10").batches("test", 4))


def test_another_data_folder_needs_no_originals(tiny, tmp_path):
    dataset, root = tiny
    folder = pack(tiny, "raw-32", tmp_path / "fast")
    assert folder == tmp_path / "fast" / "imagenet-packed" / "raw-32"
    dataset.options = dataset.options.model_copy(update={"packed": "raw-32"})
    assert set(dataset.check(tmp_path / "fast")) == {"raw-32"}
    with pytest.raises(DatasetError, match=r"packed as raw-32 not found(.|\n)*data pack imagenet"):
        dataset.open(root, CPU)


def test_a_check_verifies_whatever_is_packed(tiny):
    dataset, root = tiny
    pack(tiny, "raw-32")
    pack(tiny, "jpeg-32-90")
    found = dataset.check(root)
    assert found["decoded"] == "6"
    assert found["raw-32"].startswith("2 shards of")
    assert "intact, of these originals (" in found["jpeg-32-90"]
    shard = root / "imagenet-packed" / "raw-32" / "train-00000.shard"
    content = bytearray(shard.read_bytes())
    content[77] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DatasetError, match=rf"hash differs\): {shard}\n  delete .* data pack"):
        dataset.check(root)


def test_a_check_says_what_is_packed_in_part(tiny):
    dataset, root = tiny
    (pack(tiny, "raw-32") / "val.npz").unlink()
    assert dataset.check(root)["raw-32"].startswith("incomplete: run 'bitswitch data pack imagenet")


@pytest.mark.parametrize("number", [0, 3])  # the first of its class is compared byte by byte
def test_a_check_finds_originals_that_changed_after_packing(tiny, number):
    dataset, root = tiny
    pack(tiny, "raw-32")
    path = root / "imagenet" / "train" / "n02" / f"00{number}.JPEG"
    content = path.read_bytes()
    path.write_bytes(content[:-3] + b"\0" + content[-2:] if number == 0 else content + b"\0")
    with pytest.raises(DatasetError, match=rf"Original changed after packing: {path}"):
        dataset.check(root)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"packed": "original"}, "leave 'packed' out"),
        ({"packed": "webp-256"}, "no form 'webp-256'"),
        ({"packed": "raw-224"}, "raw-224 has fewer pixels than resize, 256, asks for"),
    ],
)
def test_forms_that_do_not_fit_are_refused(options, match):
    with pytest.raises(SpecError, match=match):
        registry.create("datasets", "imagenet", options)


def test_runs_on_published_pixels_keep_their_names():
    assert "packed" not in registry.resolve("datasets", "imagenet", {})
    resolved = registry.resolve("datasets", "imagenet", {"packed": "jpeg-256-90"})
    assert resolved["packed"] == "jpeg-256-90"


def test_the_command_packs(tiny):
    _, root = tiny
    command = ["data", "pack", "imagenet", "--form", "jpeg-32-90", "--workers", "0"]
    answer = CliRunner().invoke(app, [*command, "--data", str(root)])
    assert answer.exit_code == 0, answer.output
    assert "train: shard 1 of 1 (train-00000.shard)" in answer.output
    assert (root / "imagenet-packed" / "jpeg-32-90" / "val.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["digits"], "Dataset 'digits' cannot be packed"),
        (["imagenet", "--form", "gif"], "--form: there is no form 'gif'"),
    ],
)
def test_what_cannot_be_packed_is_refused(arguments, match):
    answer = CliRunner().invoke(app, ["data", "pack", *arguments])
    assert isinstance(answer.exception, SpecError)
    assert match in str(answer.exception)


@pytest.mark.parametrize("word", [None, "raw-32"])
def test_complete_data_are_only_read(tiny, read_only, word):
    dataset, root = tiny
    if word is not None:
        pack(tiny, word)
    with read_only(root):
        dataset.prepare(root)
        dataset.check(root)
        data = opened(tiny, packed=word) if word else dataset.open(root, CPU)
        next(data.train_batches(4, Stream("training"), 0, 0))
