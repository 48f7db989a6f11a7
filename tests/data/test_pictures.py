import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from bitswitch.data.pictures import read_picture
from bitswitch.errors import DatasetError

SCENE = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
"""Grey, every pixel another value, neither square nor symmetric."""


def pixels(path):
    image = read_picture(path, "do this")
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def assert_shows(path, scene=SCENE, within=0):
    found = pixels(path)
    assert found.shape == (*scene.shape, 3)
    assert np.abs(found - scene.astype(int)[..., None]).max() <= within


@pytest.mark.parametrize("name", ["grey.png", "grey.tif", "grey.bmp", "grey.gif"])
def test_grey_is_read_as_colour(tmp_path, name):
    Image.fromarray(SCENE).save(tmp_path / name)
    assert_shows(tmp_path / name)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_says(tmp_path, orientation):
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # how a camera held that way stores it
    stored, exif = Image.fromarray(SCENE), Image.Exif()
    if orientation in back:
        stored = stored.transpose(Image.Transpose(back[orientation]))
    exif[0x0112] = orientation
    stored.save(tmp_path / "phone.png", exif=exif)
    assert_shows(tmp_path / "phone.png")


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bits_are_scaled_to_eight(tmp_path, name, order):
    deep = (SCENE.astype(np.uint16) * 257).astype(order)
    Image.fromarray(deep).save(tmp_path / name)
    assert_shows(tmp_path / name)


def test_values_between_eight_bits_are_rounded(tmp_path):
    Image.fromarray(np.array([[128, 129, 65535]], dtype=np.uint16)).save(tmp_path / "deep.png")
    assert pixels(tmp_path / "deep.png")[0, :, 0].tolist() == [0, 1, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_lies_on_white(tmp_path, mode):
    ink = np.zeros((*SCENE.shape, 4), dtype=np.uint8)
    ink[..., 3] = SCENE
    Image.fromarray(ink).convert(mode).save(tmp_path / "pen.png")
    assert_shows(tmp_path / "pen.png", 255 - SCENE, within=1)


def test_a_transparent_colour_of_a_palette_is_white(tmp_path):
    Image.fromarray(SCENE).convert("P").save(tmp_path / "palette.gif", transparency=0)
    assert_shows(tmp_path / "palette.gif", np.where(SCENE == 0, 255, SCENE))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_one_transparent_level_of_grey_is_white(tmp_path, dtype):
    scale = 1 if dtype is np.uint8 else 257
    Image.fromarray(SCENE.astype(dtype) * scale).save(tmp_path / "t.png", transparency=5 * scale)
    assert_shows(tmp_path / "t.png", np.where(SCENE == 5, 255, SCENE))


def test_opaque_pictures_keep_their_values(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    colour[..., 3] = 255
    Image.fromarray(colour).save(tmp_path / "opaque.png")
    assert (pixels(tmp_path / "opaque.png") == colour[..., :3]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_values_without_a_known_white_are_refused(tmp_path, dtype):
    Image.fromarray(SCENE.astype(dtype)).save(tmp_path / "values.tif")
    with pytest.raises(DatasetError, match=r"32-bit values(.|\n)*values\.tif(.|\n)*8 or 16 bits"):
        read_picture(tmp_path / "values.tif", "do this")


def bomb(side):
    """A PNG of side x side black pixels in few bytes."""

    def chunk(kind, content):
        sums = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + sums

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(side // 8)) * side)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused(tmp_path):
    (tmp_path / "huge.png").write_bytes(bomb(16_000))
    with pytest.raises(
        DatasetError, match=r"Image of more than 178,956,970 pixels(.|\n)*huge\.png"
    ):
        read_picture(tmp_path / "huge.png", "do this")


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"no picture at all", b"\xff\xd8\xff\xe0"])
def test_what_is_no_picture_is_refused(tmp_path, content):
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(DatasetError, match=r"Damaged image(.|\n)*x\.jpg\n  do this"):
        read_picture(tmp_path / "x.jpg", "do this")


def test_an_absent_picture_and_a_folder_are_named(tmp_path):
    with pytest.raises(DatasetError, match=r"Image not found: .*gone\.jpg"):
        read_picture(tmp_path / "gone.jpg", "do this")
    with pytest.raises(DatasetError, match="directory"):
        read_picture(tmp_path, "do this")
