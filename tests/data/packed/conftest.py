"""Image files, and the same ones packed in shards of four."""

import pytest

from bitswitch.data.folder import list_files
from bitswitch.data.packed import packing
from bitswitch.data.packed.form import parse
from bitswitch.data.packed.shards import Shards
from tests.data.conftest import write_jpeg

CLASSES = ["n01", "n02", "n03"]
REMEDY = "fetch it again"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Three classes with five images of different sizes each."""
    monkeypatch.setattr(packing, "PER_SHARD", 4)
    for label, name in enumerate(CLASSES):
        for number in range(5):
            path = tmp_path / "images" / name / f"{number:03d}.JPEG"
            write_jpeg(path, 40 * label + number, (90 + number, 60 + 3 * label))
    return list_files(tmp_path / "images", CLASSES)


@pytest.fixture
def packed(files, tmp_path):
    """PackedFolders the files in the form of a word, and returns them."""

    def pack(word, workers=0):
        folder = tmp_path / word
        packing.pack({"train": files}, folder, {"train": parse(word)}, REMEDY, workers)
        return Shards.open(folder, "train", REMEDY)

    return pack
