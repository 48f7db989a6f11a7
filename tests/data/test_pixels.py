import pytest
import torch

from bitswitch.data.pixels import Normalise


def test_bytes_are_centred_and_scaled_per_channel():
    images = torch.randint(256, (2, 3, 4, 5), dtype=torch.uint8)
    mean, std = (0.1, 0.5, 0.9), (0.2, 0.3, 0.4)
    answer = Normalise(mean, std, torch.device("cpu"))(images)
    assert answer.dtype == torch.float32
    for channel in range(3):
        value = images[1, channel, 2, 3].item() / 255
        expected = (value - mean[channel]) / std[channel]
        assert answer[1, channel, 2, 3].item() == pytest.approx(expected, abs=1e-5)
