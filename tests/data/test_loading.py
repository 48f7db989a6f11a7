"""Processes stay from one epoch to the next, and readers do not disturb each other."""

import os

import pytest
import torch

from bitswitch.data.loading import Loaders, Request
from bitswitch.errors import DatasetError

BROKEN = 99


class Split:
    """Tells which process read a batch."""

    def __init__(self, name):
        self.name = name

    def batch(self, indices, key):
        if indices == [BROKEN]:
            raise DatasetError(f"broken: {key[0]}")
        return torch.tensor([*indices, *key, os.getpid()])


def requests(split, key, count=4):
    return [Request(split, (key,), [number]) for number in range(count)]


def loaders(workers):
    return Loaders({"a": Split("a"), "b": Split("b")}, workers, pinned=False)


def found(batches):
    return [tuple(batch.tolist()[:2]) for batch in batches]


def expected(key, count=4):
    return [(number, key) for number in range(count)]


def test_processes_stay():
    pool = loaders(1)
    first, second = (
        {int(batch[-1]) for batch in pool.read(requests("a", key))} for key in range(2)
    )
    assert first == second
    assert os.getpid() not in first
    assert len(pool.free) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_readers_do_not_disturb_each_other(workers):
    pool = loaders(workers)
    outer, seen = pool.read(requests("a", 5)), []
    for batch in outer:
        seen.append(batch)
        assert found(pool.read(requests("b", 6, 3))) == expected(6, 3)
    assert found(seen) == expected(5)
    assert len(pool.free) == 2


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_reader_leaves_is_dropped(workers):
    pool = loaders(workers)
    reader = pool.read(requests("a", 5, 9))
    next(reader)
    reader.close()
    assert found(pool.read(requests("a", 6))) == expected(6)
    assert len(pool.free) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_comes_as_it_is_and_the_next_reader_is_served(workers):
    pool = loaders(workers)
    with pytest.raises(DatasetError, match=r"^broken: 7$"):
        list(pool.read([*requests("a", 5), Request("a", (7,), [BROKEN]), *requests("a", 5)]))
    assert found(pool.read(requests("a", 6))) == expected(6)
