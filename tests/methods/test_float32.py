import pytest
import torch

from bitswitch.errors import BitWidthError
from bitswitch.methods.float32 import Float32


def test_it_has_no_quantizer():
    with pytest.raises(BitWidthError, match="quantizes nothing"):
        Float32(Float32.Options(), (32,)).weight_quantizer(torch.zeros(1))
