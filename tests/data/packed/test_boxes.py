import pickle

import pytest
import torch
from torchvision.transforms import v2

from bitswitch.contracts.data import Batch
from bitswitch.contracts.streams import Stream
from bitswitch.data import folder
from bitswitch.data.crops import FolderOptions, training_transforms
from bitswitch.data.folder import FolderData, carve
from bitswitch.data.packed.boxes import Box, BoxedCrops
from bitswitch.errors import DatasetError
from bitswitch.runtime.randomness import seeded
from bitswitch.runtime.ranks import Ranks
from bitswitch.training.shares import Share

CPU = torch.device("cpu")
OPTIONS = FolderOptions(crop=24, resize=40)
FULL = "raw-400"
"""Larger than every picture: pixels are the original ones, and only the way to them differs."""


def opened(pictures, options=OPTIONS):
    train, held_out = carve(pictures, 1)
    return FolderData({"train": train, "held_out": held_out}, options, CPU, "do this")


def batches(data, epoch=0, seed=0, skip=0):
    return list(data.train_batches(4, Stream("training", epoch), seed, skip))


def same(left, right):
    pairs = list(zip(left, right, strict=True))
    return bool(pairs) and all(
        torch.equal(a, b) for one, two in pairs for a, b in zip(one, two, strict=True)
    )


@pytest.mark.parametrize("kept", [0, 2**24])
def test_packed_originals_give_the_very_batches(files, packed, monkeypatch, kept):
    monkeypatch.setattr(folder, "IN_MEMORY_BYTES", kept)
    plain, shards = opened(files), opened(packed("original"))
    assert same(batches(plain), batches(shards))
    assert same(plain.batches("held_out", 4), shards.batches("held_out", 4))


def test_crops_and_mirroring_are_those_of_the_originals(files, packed):
    """Resizing bytes on the device is at most two levels off what Pillow does."""
    plain, shards = opened(files), opened(packed(FULL))
    mirrored = 0
    for epoch in range(3):
        for left, right in zip(batches(plain, epoch), batches(shards, epoch), strict=True):
            assert torch.equal(left.indices, right.indices)
            assert torch.equal(left.targets, right.targets)
            levels = (left.inputs - right.inputs) / shards.normalise.scale
            assert levels.abs().max() < 2.01
            others = (left.inputs - right.inputs.flip(3)) / shards.normalise.scale
            mirrored += int((others.abs().amax((1, 2, 3)) < 2.01).sum())
    assert mirrored == 0  # the comparison can tell


def test_boxes_are_drawn_for_the_original_size(files, packed):
    shards = packed("raw-40")
    crops = BoxedCrops(shards, training_transforms(OPTIONS), "")
    flips = set()
    for index in range(15):
        box = crops.box(index, (3, 7))
        with files.path(index).open("rb") as file, seeded("image", 3, 7, index):
            from PIL import Image

            original = Image.open(file)
            drawn = v2.RandomResizedCrop(24, scale=(0.08, 1.0)).make_params([original])
            drawn["mirrored"] = bool(torch.rand(1) < 0.5)
        expected = Box(**drawn).carried_over(original.size, shards.stored_size(index))
        assert box == expected
        width, height = shards.stored_size(index)
        assert (min(width, height), box.top + box.height <= height) == (40, True)
        flips.add(box.mirrored)
    assert flips == {True, False}


def test_a_box_of_a_pixel_stays_one():
    box = Box(99, 0, 1, 1, False).carried_over((100, 100), (10, 10))
    assert (box.top, box.height, box.width) == (9, 1, 1)


def test_options_decide_crops(packed):
    options = OPTIONS.model_copy(update={"smallest_area": 1.0, "flip": False})
    crops = BoxedCrops(packed("raw-40"), training_transforms(options), "")
    assert not any(crops.box(index, (0,)).mirrored for index in range(15))
    assert crops.batch([0, 1], (0,)).on(CPU).pixels.shape == (2, 3, 24, 24)


def test_held_out_pixels_are_the_original_ones_where_both_are_resized_alike(files, packed):
    plain, shards = opened(files), opened(packed("raw-40"))
    assert same(plain.batches("held_out", 4), shards.batches("held_out", 4))


@pytest.mark.parametrize("word", ["raw-40", "jpeg-40-90"])
def test_batches_depend_on_seed_and_epoch_alone(packed, word, monkeypatch):
    data = opened(packed(word))
    first = batches(data)
    assert same(first, batches(data))
    assert same(first[1:], batches(data, skip=1))
    assert not same(first, batches(data, epoch=1))
    assert not same(first, batches(data, seed=1))
    monkeypatch.setattr(folder, "IN_MEMORY_BYTES", 0)
    monkeypatch.setenv(folder.WORKERS, "1")
    elsewhere = opened(packed(word))
    assert elsewhere.workers == 1
    assert same(first, batches(elsewhere))


@pytest.mark.parametrize("word", ["original", "raw-40", "jpeg-40-90"])
def test_each_process_of_a_run_reads_its_share_alone(packed, word):
    data = opened(packed(word))
    parts = [batches(Share(data, Ranks(rank, 2)), epoch=2) for rank in (0, 1)]
    joined = (Batch(*map(torch.cat, zip(*some, strict=True))) for some in zip(*parts, strict=True))
    assert same(joined, batches(data, epoch=2))


def test_shards_are_mapped_by_each_process_itself(packed):
    shards = packed("raw-40")
    before = shards.pixels(2, "")
    again = pickle.loads(pickle.dumps(shards))
    assert (len(shards.maps), len(again.maps)) == (1, 0)
    assert torch.equal(again.pixels(2, ""), before)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_picture_is_named(packed, monkeypatch, workers):
    monkeypatch.setattr(folder, "IN_MEMORY_BYTES", 0)
    monkeypatch.setenv(folder.WORKERS, str(workers))
    data = opened(packed("jpeg-40-90"))
    path = data.splits["train"].files.paths()[0]
    path.write_bytes(bytes(path.stat().st_size))
    named = r"^Damaged packed picture .*: .*train-00000.shard/n01/00..JPEG\n  do this$"
    with pytest.raises(DatasetError, match=named):
        batches(data)
