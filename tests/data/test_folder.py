import numpy as np
import pytest
import torch
from PIL import Image

from bitswitch.contracts.data import Batch
from bitswitch.contracts.streams import Stream
from bitswitch.data import folder
from bitswitch.data.folder import Files, FolderData, FolderOptions, carve, list_files
from bitswitch.errors import DatasetError
from bitswitch.runtime.ranks import Ranks
from bitswitch.training.shares import Share

TRAINING = Stream("training")
CLASSES = ["n01", "n02", "n03"]
CPU = torch.device("cpu")
OPTIONS = FolderOptions(crop=12, resize=16)


def opened(image_folder, options=OPTIONS):
    train, held_out = carve(list_files(image_folder / "train", CLASSES), 1)
    splits = {
        "train": train,
        "held_out": held_out,
        "test": list_files(image_folder / "val", CLASSES),
    }
    return FolderData(splits, options, CPU, "do this")


def train(data, epoch=0, seed=0, skip=0):
    return list(data.train_batches(4, Stream("training", epoch), seed, skip))


def same(left, right):
    pairs = list(zip(left, right, strict=True))
    return bool(pairs) and all(
        torch.equal(a, b) for one, two in pairs for a, b in zip(one, two, strict=True)
    )


@pytest.fixture
def decoded_each_time(monkeypatch):
    monkeypatch.setattr(folder, "IN_MEMORY_BYTES", 0)


def test_the_last_images_of_each_class_are_held_out(image_folder):
    rest, held_out = carve(list_files(image_folder / "train", CLASSES), 2)
    assert [held_out.path(i).name for i in range(6)] == ["003.JPEG", "004.JPEG"] * 3
    assert rest.targets.tolist() == [0] * 3 + [1] * 3 + [2] * 3


def test_evaluation_is_resize_centre_crop_and_normalise(image_folder):
    batch = next(opened(image_folder).batches("test", 6))
    with Image.open(image_folder / "val" / "n02" / "001.JPEG") as image:
        small = image.resize((24, 16), Image.Resampling.BILINEAR).crop((6, 2, 18, 14))
    expected = (np.asarray(small) / 255 - folder.MEAN) / folder.STD
    torch.testing.assert_close(
        batch.inputs[3].permute(1, 2, 0).double(), torch.from_numpy(expected), atol=1e-5, rtol=0
    )
    assert (batch.targets[3], batch.indices[3]) == (1, 3)


def test_an_epoch_shows_each_image_once_in_whole_batches(image_folder):
    batches = train(opened(image_folder))
    assert [len(batch.targets) for batch in batches] == [4, 4, 4]
    assert torch.cat([batch.indices for batch in batches]).sort().values.tolist() == list(range(12))
    assert batches[0].inputs.shape == (4, 3, 12, 12)
    assert batches[0].inputs.is_contiguous()


def test_a_resumed_epoch_continues_with_the_very_batches(image_folder):
    data = opened(image_folder)
    assert same(train(data, skip=1), train(data)[1:])
    assert train(data, skip=3) == []


def test_crops_depend_on_seed_and_epoch(image_folder):
    data = opened(image_folder)
    first = train(data)
    assert same(first, train(data))
    assert not same(first, train(data, epoch=1))
    assert not same(first, train(data, seed=1))


def test_the_crop_of_an_image_does_not_depend_on_its_batch(image_folder):
    data = opened(image_folder)
    small = {
        int(i): x for b in data.train_batches(2, TRAINING, 0, 0) for x, _, i in zip(*b, strict=True)
    }
    for batch in train(data):
        for image, _, index in zip(*batch, strict=True):
            assert torch.equal(small[int(index)], image)


@pytest.mark.usefixtures("decoded_each_time")
@pytest.mark.parametrize("workers", [0, 2])
def test_neither_memory_nor_processes_change_a_number(image_folder, monkeypatch, workers):
    monkeypatch.setenv(folder.WORKERS, str(workers))
    each_time = opened(image_folder)
    assert each_time.workers == workers
    monkeypatch.setattr(folder, "IN_MEMORY_BYTES", 2**20)
    in_memory = opened(image_folder)
    assert in_memory.splits["train"].kept
    assert same(train(each_time), train(in_memory))
    assert same(each_time.batches("test", 4), in_memory.batches("test", 4))


@pytest.mark.usefixtures("decoded_each_time")
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("workers", [0, 1])
def test_each_process_of_a_run_decodes_its_share_alone(image_folder, monkeypatch, workers, count):
    monkeypatch.setenv(folder.WORKERS, str(workers))
    whole = opened(image_folder)
    shares = [Share(opened(image_folder), Ranks(rank, count)) for rank in range(count)]
    for epoch, skip in ((0, 0), (1, 1)):
        parts = (train(share, epoch, skip=skip) for share in shares)
        joined = (
            Batch(*map(torch.cat, zip(*some, strict=True))) for some in zip(*parts, strict=True)
        )
        assert same(joined, train(whole, epoch, skip=skip))
    assert same(whole.batches("test", 1), (b for s in shares for b in s.batches("test", 1)))


@pytest.mark.usefixtures("decoded_each_time")
def test_processes_decode_each_image_once_together(image_folder, monkeypatch):
    decoded = []
    monkeypatch.setattr(
        Files, "picture", lambda files, at, remedy: decoded.append(at) or Image.new("RGB", (9, 9))
    )
    for rank in (0, 1):
        share = Share(opened(image_folder), Ranks(rank, 2))
        decoded.clear()
        train(share)
        assert len(decoded) == 12 // 2
        decoded.clear()
        list(share.batches("test", 2))
        assert decoded == [[0, 1, 2, 3], [4, 5]][rank]


def test_reading_leaves_the_global_generator_alone(image_folder):
    state = torch.get_rng_state()
    data = opened(image_folder)
    train(data)
    list(data.batches("test", 4))
    assert torch.equal(torch.get_rng_state(), state)


def test_flip_and_smallest_area_are_options(image_folder):
    whole = FolderOptions(crop=12, resize=16, smallest_area=1.0, flip=False)
    data = opened(image_folder, whole)
    assert same(train(data), train(data))
    steps = data.splits["train"].transform.transforms
    assert steps[0].scale == (1.0, 1.0)
    assert steps[1].p == 0.0
    assert opened(image_folder).splits["train"].transform.transforms[1].p == 0.5


@pytest.mark.usefixtures("decoded_each_time")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_one_clear_message(image_folder, monkeypatch, workers):
    monkeypatch.setenv(folder.WORKERS, str(workers))
    path = image_folder / "val" / "n01" / "000.JPEG"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DatasetError, match=rf"^Damaged image .*: {path}\n  do this$"):
        list(opened(image_folder).batches("test", 4))


def test_the_number_of_workers_must_be_a_number(monkeypatch):
    monkeypatch.setenv(folder.WORKERS, "many")
    with pytest.raises(DatasetError, match="BITSWITCH_WORKERS must be a number, not 'many'"):
        folder.worker_count(CPU)


def test_names_of_any_encoding_survive(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "a" / "ü é.png")
    assert list_files(tmp_path, ["a"]).path(0) == tmp_path / "a" / "ü é.png"
