import pytest
import torch
from PIL import Image

from bitswitch.data.pixels import Normalise, scaled


def test_bytes_are_centred_and_scaled_per_channel():
    images = torch.randint(256, (2, 3, 4, 5), dtype=torch.uint8)
    mean, std = (0.1, 0.5, 0.9), (0.2, 0.3, 0.4)
    answer = Normalise(mean, std, torch.device("cpu"))(images)
    assert answer.dtype == torch.float32
    for channel in range(3):
        value = images[1, channel, 2, 3].item() / 255
        expected = (value - mean[channel]) / std[channel]
        assert answer[1, channel, 2, 3].item() == pytest.approx(expected, abs=1e-5)


def test_pictures_of_any_size_are_scaled():
    image = Image.new("RGB", (30, 20), (0, 128, 255))
    found = scaled(image, 8, mean=(0.0, 0.5, 1.0), std=(0.5, 0.25, 1.0))
    expected = torch.tensor([0.0, (128 / 255 - 0.5) / 0.25, 0.0])
    torch.testing.assert_close(found, expected.view(3, 1, 1).expand(3, 8, 8))
