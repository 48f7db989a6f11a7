import errno
import os

import pytest
import torch

from bitswitch.errors import CheckpointError, RunDirectoryError
from bitswitch.training.predictions import NAME, Predictions

ALL = torch.arange(4)


def rows(*values):
    return torch.tensor([[value, 1 - value] for value in values])


@pytest.fixture(params=[True, False], ids=["file", "memory"])
def open_predictions(request, tmp_path):
    """Return a function that opens four images in two classes."""
    return lambda: Predictions(4, 2, tmp_path / NAME if request.param else None)


def test_an_epoch_reads_what_the_last_one_said(open_predictions):
    kept = open_predictions()
    for epoch in range(4):
        assert torch.equal(kept.before(ALL, epoch), rows(*[0.1 * epoch] * 4) * bool(epoch))
        kept.keep(ALL, epoch, rows(*[0.1 * (epoch + 1)] * 4))
        assert kept.sync() == (4 if epoch == 0 else 8)


def test_an_epoch_that_begins_anew_reads_the_same_again(open_predictions):
    kept, some = open_predictions(), torch.tensor([2, 0])
    for epoch in range(4):
        before = kept.before(ALL, epoch)
        kept.keep(some, epoch, rows(0.9, 0.8))
        assert torch.equal(kept.before(ALL, epoch), before)
        kept.keep(ALL[:3], epoch, rows(*(0.2 + 0.1 * epoch + 0.01 * i for i in range(3))))
    # An image that every epoch left out has nothing; one left out once keeps what it had.
    assert not kept.before(ALL[3:], 4).any()
    kept.keep(some, 4, rows(0.5, 0.5))
    assert torch.equal(kept.before(ALL[1:2], 5), rows(0.51))


def test_a_file_keeps_them_until_it_is_opened_again(tmp_path):
    first = Predictions(4, 2, tmp_path / NAME)
    first.keep(ALL, 0, rows(0.1, 0.2, 0.3, 0.4))
    count = first.sync()
    second = Predictions(4, 2, tmp_path / NAME)
    second.check(count)
    assert torch.equal(second.before(ALL, 1), rows(0.1, 0.2, 0.3, 0.4))
    assert (tmp_path / NAME).stat().st_size == 4 * 2 * (2 + 1) * 4


def test_a_file_that_was_deleted_or_cut_is_refused(tmp_path):
    first = Predictions(4, 2, tmp_path / NAME)
    first.keep(ALL, 0, rows(0.1, 0.2, 0.3, 0.4))
    count = first.sync()
    (tmp_path / NAME).unlink()
    with pytest.raises(CheckpointError, match=r"holds 0 predictions .* 4(.*\n)*.*checkpoint.pt"):
        Predictions(4, 2, tmp_path / NAME).check(count)
    os.truncate(tmp_path / NAME, 40)
    with pytest.raises(CheckpointError, match="has 40 bytes instead of 96"):
        Predictions(4, 2, tmp_path / NAME)


def test_a_full_disk_is_said_before_training(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(RunDirectoryError, match="the disk is full"):
        Predictions(4, 2, tmp_path / NAME)
