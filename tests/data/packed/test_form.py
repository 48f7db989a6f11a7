import io

import numpy as np
import pytest
import torch
from PIL import Image

from bitswitch.data.packed.form import Jpeg, Original, Raw, parse


def image(width=90, height=60):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def as_tensor(picture):
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


@pytest.mark.parametrize("form", [Original(), Jpeg(256, 90), Raw(160)])
def test_forms_are_words(form):
    assert parse(str(form)) == form


@pytest.mark.parametrize(
    ("word", "match"),
    [
        ("jpg-256-90", "no form 'jpg-256-90' of packed pictures; known: original, jpeg-256-90"),
        ("jpeg-256", "no form 'jpeg-256'"),
        ("jpeg-256-101", "the quality of a JPEG is 1 to 100"),
        ("jpeg-256-0", "the quality of a JPEG is 1 to 100"),
        ("raw-31", "the shorter side has 32 pixels at least"),
    ],
)
def test_other_words_are_refused(word, match):
    with pytest.raises(ValueError, match=match):
        parse(word)


def test_raw_pixels_are_those_that_evaluation_resizes_to(tmp_path):
    from torchvision.transforms import v2

    stored, size = Raw(40).encoded(image(), b"")
    assert size == (60, 40)
    expected = as_tensor(v2.Resize(40)(image()))
    seen = Raw(40).pixels(torch.frombuffer(bytearray(stored), dtype=torch.uint8), size)
    assert torch.equal(seen, expected)
    assert torch.equal(as_tensor(Raw(40).image(tmp_path, stored, size, "")), expected)


def test_a_jpeg_is_decoded_to_the_same_pixels_by_both_decoders(tmp_path):
    stored, size = Jpeg(40, 90).encoded(image(), b"")
    assert Image.open(io.BytesIO(stored)).size == size == (60, 40)
    fast = Jpeg(40, 90).pixels(torch.frombuffer(bytearray(stored), dtype=torch.uint8), size)
    assert torch.equal(fast, as_tensor(Jpeg(40, 90).image(tmp_path, stored, size, "")))


def test_small_pictures_keep_their_size():
    assert Raw(60).encoded(image(), b"") == (image().tobytes(), (90, 60))
    assert Jpeg(64, 90).encoded(image(), b"")[1] == (90, 60)


def test_an_original_keeps_its_bytes():
    assert Original().encoded(image(), b"as it is") == (b"as it is", (90, 60))
