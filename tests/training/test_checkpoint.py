import errno
import os
import pickle

import pytest
import torch

from bitswitch.errors import CheckpointError, RunDirectoryError
from bitswitch.training import checkpoint

STATE = {"model": {"weight": torch.arange(1000.0)}, "step": 3, "name": "x", "list": [1, (2.5,)]}


@pytest.fixture
def path(tmp_path):
    return tmp_path / checkpoint.NAME


def test_state_survives_a_round_trip(path):
    checkpoint.save(path, "run", STATE)
    loaded = checkpoint.load(path, "run")
    assert torch.equal(loaded["model"]["weight"], STATE["model"]["weight"])
    assert {key: loaded[key] for key in ("step", "name", "list")} == {
        key: STATE[key] for key in ("step", "name", "list")
    }


def test_memory_format_survives_a_round_trip(path):
    weight = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    checkpoint.save(path, "run", {"weight": weight})
    assert checkpoint.load(path, "run")["weight"].stride() == weight.stride()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_says_how_to_start_over(path, share):
    checkpoint.save(path, "run", STATE)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"is damaged.*\n.*rm '.*checkpoint.pt'"):
        checkpoint.load(path, "run")


def test_a_flipped_bit_is_noticed(path):
    checkpoint.save(path, "run", STATE)
    content = bytearray(path.read_bytes())
    place = content.index(STATE["model"]["weight"].numpy().tobytes()) + 100
    content[place] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="is damaged"):
        checkpoint.load(path, "run")


@pytest.mark.parametrize("content", [{"run_id": "run"}, [1, 2], torch.ones(2)])
def test_a_file_of_something_else_is_refused(path, content):
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="no checkpoint of bitswitch"):
        checkpoint.load(path, "run")


def test_a_missing_file_is_named(path):
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        checkpoint.load(path, "run")


def test_a_checkpoint_of_another_run_is_refused(path):
    checkpoint.save(path, "other", STATE)
    with pytest.raises(CheckpointError, match="is of run 'other', not 'run'"):
        checkpoint.load(path, "run")


def test_a_checkpoint_of_another_format_is_refused(path, monkeypatch):
    checkpoint.save(path, "run", STATE)
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
    with pytest.raises(CheckpointError, match="format 1; this version of bitswitch reads 2"):
        checkpoint.load(path, "run")


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (self.place,)


@pytest.mark.parametrize("write", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))])
def test_code_in_a_file_is_not_run(path, tmp_path, write):
    write({"run_id": "run", "format": 1, "state": Trap(str(tmp_path / "trapped"))}, path)
    with pytest.raises(CheckpointError):
        checkpoint.load(path, "run")
    assert not (tmp_path / "trapped").exists()


def test_a_full_disk_leaves_the_old_checkpoint(path, monkeypatch):
    checkpoint.save(path, "run", STATE)

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RunDirectoryError, match="the disk is full"):
            checkpoint.save(path, "run", {"step": 4})
    assert checkpoint.load(path, "run")["step"] == 3
    assert [file.name for file in path.parent.iterdir()] == [path.name]
