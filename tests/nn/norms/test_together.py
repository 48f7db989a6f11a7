"""Batch norms of several processes that share a batch."""

import pytest
import torch
from torch.nn.functional import batch_norm as of_torch

from bitswitch.nn.norms.together import batch_norm
from bitswitch.runtime.ranks import Ranks


class Alike(Ranks):
    """Two ranks with equal shares."""

    def summed(self, share):
        return 2 * share


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_statistics_of_16_bits_are_measured_in_32(dtype):
    """Far from zero, a sum of 16 bits would leave no digit of the variance."""
    draw = torch.Generator().manual_seed(0)
    x = (50 + torch.randn(64, 3, 4, 4, generator=draw)).to(dtype)
    found, expected = ([torch.zeros(3), torch.ones(3)] for _ in range(2))
    affine = torch.rand(3, generator=draw), torch.rand(3, generator=draw)
    how = {"training": True, "momentum": 1.0, "eps": 1e-5}
    normal = batch_norm(x, *found, *affine, **how, ranks=Alike(0, 2))
    both = torch.cat([x, x]).float()
    reference = of_torch(both, *expected, *affine, **how)[: len(x)]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    assert normal.dtype is dtype
    torch.testing.assert_close(
        normal.float(), reference, rtol=1e-2 * (dtype != torch.float32), atol=1e-2
    )
