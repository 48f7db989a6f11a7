"""Keys and values that a decoder keeps: what it says is what it says of the whole text."""

import pytest
import torch
from torch import nn

from bitswitch.nn.cache import KeyValueCache, takes_cache
from bitswitch.plugins import registry

SMALL = {"width": 16, "ffn": 24, "blocks": 2, "heads": 4, "kv_heads": 2, "context": 16}


@pytest.mark.parametrize("attention", ["explicit", "fused"])
@pytest.mark.parametrize("parts", [(12,), (1,) * 12, (5, 1, 4, 2)], ids=str)
@torch.no_grad()
def test_a_text_in_parts(attention, parts):
    net = registry.create("models", "llama", {**SMALL, "attention": attention}).build(11, 0).eval()
    for parameter in net.parameters():
        if parameter.dim() > 1:
            parameter.mul_(10)
    tokens = torch.randint(11, (2, 12), generator=torch.Generator().manual_seed(0))
    cache = KeyValueCache()
    found = torch.cat([net(part, cache) for part in tokens.split(parts, 1)], 1)
    torch.testing.assert_close(found, net(tokens), rtol=1e-4, atol=1e-5)
    assert [cache.seen(layer) for layer in cache.kept] == [12, 12]
    assert [keys.shape for keys, _ in cache.kept.values()] == [(2, 2, 12, 4)] * 2


def test_a_layer_that_has_read_nothing():
    assert KeyValueCache().seen(nn.Identity()) == 0


def test_which_networks_take_one():
    assert takes_cache(registry.create("models", "llama", SMALL).build(11, 0))
    assert not takes_cache(nn.Linear(2, 2))
