"""Small data in the formats that real datasets have on disk."""

import hashlib
import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def write_jpeg(path: Path, value: int, size: tuple[int, int] = (30, 20)) -> None:
    """A noisy JPEG of mean brightness ``value``; ``size`` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 40, (size[1], size[0], 3))
    Image.fromarray((noise + value).clip(0, 255).astype(np.uint8)).save(path, quality=95)


def write_folder(folder: Path, classes: list[str], train: int, val: int) -> None:
    """``train`` and ``val`` images per class in ImageNet's layout."""
    for label, name in enumerate(classes):
        for number in range(train):
            write_jpeg(folder / "train" / name / f"{number:03d}.JPEG", 40 * label + number)
        for number in range(val):
            write_jpeg(folder / "val" / name / f"{number:03d}.JPEG", 40 * label + number)


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Three classes with five training and two validation images each."""
    write_folder(tmp_path / "images", ["n01", "n02", "n03"], train=5, val=2)
    return tmp_path / "images"


@pytest.fixture
def cifar_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CIFAR-10's files with 40 images each instead of 10 000; torchvision's MD5s changed to fit."""
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "cifar10" / CIFAR10.base_folder
    folder.mkdir(parents=True)

    def write(name: str, content: object) -> list[str]:
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    def batch(name: str, seed: int) -> list[str]:
        draw = np.random.default_rng(seed)
        pixels = draw.integers(0, 256, (40, 3072), dtype=np.uint8)
        labels = [number % 10 for number in range(40)]
        return write(name, {"data": pixels, "labels": labels, "batch_label": name})

    names = [name for name, _ in CIFAR10.train_list]
    train = [batch(name, seed) for seed, name in enumerate(names)]
    meta = write("batches.meta", {"label_names": list("abcdefghij")})
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", [batch("test_batch", 9)])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": meta[1]})
    return tmp_path


_watched: list[tuple[Path, list[str]]] = []
"""Folders that are watched now, and what was written below each."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CHANGES = {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.utime", "os.chmod"}


def _note(event: str, arguments: tuple[object, ...]) -> None:
    """Note what changes files below a watched folder; hooks stay, so it is one for all tests."""
    opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES
    if _watched and (opened or event in _CHANGES):
        for folder, written in _watched:
            if Path(str(arguments[0])).absolute().is_relative_to(folder):
                written.append(f"{event} {arguments[0]}")


sys.addaudithook(_note)


@pytest.fixture
def read_only():
    """Return a context in which nobody may write below a folder, root neither."""

    @contextmanager
    def watched(folder: Path) -> Iterator[None]:
        _watched.append((folder, written := []))
        try:
            yield
        finally:
            _watched.pop()
        assert not written

    return watched
