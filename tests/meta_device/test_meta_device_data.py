"""Batches on the meta device: whole datasets that lie there, and pictures on their way to it."""

import pytest
import torch

from bitswitch.contracts.streams import Stream
from bitswitch.data.crops import FolderOptions
from bitswitch.data.folder import FolderData
from bitswitch.data.text import Windows
from bitswitch.runtime.ranks import Ranks
from bitswitch.tasks.language_model import Protocol
from bitswitch.training.shares import Share
from tests.data.packed.conftest import files, packed  # noqa: F401  (fixtures)

from .conftest import META

OPTIONS = FolderOptions(crop=24, resize=40)
STREAM = Stream("training")
CUTS = (("shifted", 6, 6, "none"), ("disjoint", 6, 6, "window"), ("strided", 6, 3, "once"))


def check(data, size):
    """Read what one process of two does."""
    for share in (data, Share(data, Ranks(1, 2))):
        for batch in (*share.train_batches(size, STREAM, 0, 1), *share.batches("test", size)):
            assert {part.device for part in batch} == {META}


@pytest.mark.parametrize("word", ["original", "raw-40"])
def test_meta_device_sees_crops_of_packed_pictures(word, packed):  # noqa: F811
    pictures = packed(word)
    check(FolderData({"train": pictures, "test": pictures}, OPTIONS, META, ""), 4)


@pytest.mark.parametrize(("windows", "context", "stride", "bos"), CUTS)
def test_meta_device_cuts_texts(windows, context, stride, bos):
    text = torch.arange(100).numpy().astype("uint8")
    tokens = dict.fromkeys(("train", "held_out", "test"), text)
    protocol = Protocol("numbers", windows, context, stride, "token", "numbers", bos)
    check(Windows(tokens, protocol, META, bos=None if bos == "none" else 0), 4)
