import errno
import os
import signal

import numpy as np
import pytest

from bitswitch.data.packed import packing
from bitswitch.data.packed.form import parse
from bitswitch.data.packed.shards import Shards, shard_path
from bitswitch.errors import DatasetError
from tests.data.packed.conftest import REMEDY


def pixels(pictures):
    return [np.array(pictures.picture(number, "")) for number in range(len(pictures.names))]


def test_originals_come_back_bit_by_bit(files, packed):
    shards = packed("original")
    assert [path.name for path in shards.paths()] == [f"train-0000{n}.shard" for n in range(4)]
    assert shards.names.tolist() == files.names.tolist()
    assert shards.targets.tolist() == files.targets.tolist()
    for left, right in zip(pixels(files), pixels(shards), strict=True):
        assert np.array_equal(left, right)
    stored = b"".join(path.read_bytes() for path in shards.paths())
    assert stored == b"".join(files.path(n).read_bytes() for n in range(15))


def test_nothing_is_left_but_shards_and_index(packed):
    folder = packed("jpeg-40-90").folder
    assert sorted(path.suffix for path in folder.iterdir()) == [".npz", *[".shard"] * 4]


def test_processes_write_the_same_shards(packed, tmp_path):
    one = packed("raw-40")
    one.folder.rename(tmp_path / "before")
    two = packed("raw-40", workers=1)
    assert two.checksums.hashes.tolist() == one.checksums.hashes.tolist()


def test_a_part_has_the_pictures_of_the_whole(packed):
    shards = packed("raw-40")
    chosen = np.arange(15) % 5 == 4
    part = shards.take(chosen)
    whole = [picture for picture, take in zip(pixels(shards), chosen, strict=True) if take]
    assert all(map(np.array_equal, pixels(part), whole))


def pack_until_killed(files, folder):
    """Kills this process while it writes the third shard."""
    packed = packing.Shard._packed

    def killed(shard, number):
        if shard.path.name == "train-00002.shard" and number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return packed(shard, number)

    packing.Shard._packed = killed
    packing.pack({"train": files}, folder, {"train": parse("raw-40")}, REMEDY)


def test_packing_that_was_killed_goes_on_at_the_next_shard(files, packed, tmp_path, monkeypatch):
    folder = tmp_path / "raw-40"
    child = os.fork()
    if child == 0:
        try:
            pack_until_killed(files, folder)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    with pytest.raises(DatasetError, match="not found"):
        Shards.open(folder, "train", REMEDY)
    written = []
    write = packing.Shard.write
    monkeypatch.setattr(
        packing.Shard, "write", lambda shard: (written.append(shard.path.name), write(shard))
    )
    shards = packed("raw-40")
    assert written == ["train-00002.shard", "train-00003.shard"]
    assert list(shards.damaged()) == []
    assert len(list(folder.iterdir())) == 5  # the half-written shard is gone


def test_what_is_packed_is_not_packed_again(packed, monkeypatch):
    shards = packed("raw-40")
    monkeypatch.setattr(packing.Shard, "write", lambda shard: pytest.fail("written again"))
    assert packed("raw-40").checksums.hashes.tolist() == shards.checksums.hashes.tolist()


def test_a_shard_of_changed_originals_is_written_again(files, packed, tmp_path):
    folder = tmp_path / "raw-40"
    shard = packing.Shard(
        files.take(np.arange(4)), shard_path(folder, "train", 0), parse("raw-40"), ""
    )
    shard.write()
    assert shard.is_written()
    path = files.path(3)
    path.write_bytes(path.read_bytes() + b"more")
    assert not shard.is_written()
    path.unlink()
    with pytest.raises(DatasetError, match=r"Image not readable \(No such file.*003.JPEG\n.*fetch"):
        packed("raw-40")


def test_originals_that_changed_after_packing_are_not_passed_over(files, packed):
    packed("raw-40")
    path = files.path(3)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(DatasetError, match=r"Originals changed after packing: .*raw-40\n.*delete"):
        packed("raw-40")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_original_is_named(files, packed, workers):
    path = files.path(7)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DatasetError, match=rf"^Damaged image .*: {path}\n  {REMEDY}$"):
        packed("original", workers)


def test_a_full_disk_says_what_to_do(packed, monkeypatch):
    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DatasetError, match=r"No space left on device(.|\n)*--to(.|\n)*goes on"):
        packed("raw-40")


def test_damage_is_found(packed):
    shards = packed("jpeg-40-90")
    path = shards.paths()[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert list(shards.damaged()) == [path]
    path.write_bytes(content[:-1])
    with pytest.raises(DatasetError, match=r"bytes instead of \d+.*train-00001.shard"):
        packed("jpeg-40-90")
    path.unlink()
    with pytest.raises(DatasetError, match=r"\(missing\): .*train-00001.shard"):
        packed("jpeg-40-90")
