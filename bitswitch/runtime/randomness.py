"""Random numbers that depend on what they are for, never on what ran before."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def mix(*parts: int | str) -> int:
    """Return a 63-bit seed that depends on every one of ``parts``.

    >>> mix(0, 1) == mix(0, 1), mix(0, 1) == mix(1, 0)
    (True, False)
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(*parts: int | str) -> torch.Generator:
    """Return a generator on the CPU, seeded by ``parts``."""
    return torch.Generator().manual_seed(mix(*parts))


@contextmanager
def seeded(*parts: int | str) -> Iterator[None]:
    """Seed the global CPU generator by ``parts`` inside; leave no trace outside.

    For code that takes no generator, such as module constructors and torchvision's transforms.
    Generators of accelerators are not touched.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(mix(*parts))
        yield


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Seed the global generators of torch (on all devices), numpy and Python for one step.

    Args:
        seed: Of the run.
        step: Number of the step.
        rank: Of this process among those that work on the run.
    """
    value = mix("step", seed, step, *([rank] if rank else []))
    torch.manual_seed(value)
    np.random.seed(value % 2**32)
    random.seed(value)
