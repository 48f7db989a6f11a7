from collections import Counter

import pytest
import torch

from bitswitch.errors import BitWidthError
from bitswitch.nn.policy import random_policy, resolve

LAYERS = ["conv1", "conv2"]
BITSET = (8, 4, 2)


def test_one_bit_width_is_for_all_layers():
    assert resolve(4, LAYERS, BITSET) == {"conv1": (4, 4), "conv2": (4, 4)}
    assert resolve(32, LAYERS, BITSET) == {"conv1": (32, 32), "conv2": (32, 32)}


def test_layers_may_have_pairs():
    policy = {"conv2": (8, 2), "conv1": 4}
    assert resolve(policy, LAYERS, BITSET) == {"conv1": (4, 4), "conv2": (8, 2)}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (5, "no bit-width 5; the nearest is 4"),
        (16, "the nearest is 8"),
        ({"conv1": 3, "conv2": 8}, "layer 'conv1': this model has no bit-width 3"),
        ({"conv1": (8, 7), "conv2": 8}, "no bit-width 7; the nearest is 8"),
        ({"conv1": 8, "covn2": 8}, "Did you mean 'conv2'?"),
        ({"conv1": 8}, "no bit-width for layer 'conv2'"),
        ("8", "'8' is no bit-width; it must be an integer"),
    ],
)
def test_mistakes_are_named(policy, message):
    with pytest.raises(BitWidthError) as error:
        resolve(policy, LAYERS, BITSET)
    assert message in str(error.value)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("independent", [False, True])
def test_bit_widths_are_drawn_evenly_and_layers_on_their_own(independent):
    layers = [f"layer{number}" for number in range(3000)]
    policy = random_policy(layers, BITSET, generator(), independent)
    assert list(policy) == layers
    counts = Counter(policy.values())
    expected = len(BITSET) ** 2 if independent else len(BITSET)
    assert len(counts) == expected
    assert all(weight == activation or independent for weight, activation in counts)
    neighbours = Counter(zip(policy.values(), list(policy.values())[1:], strict=False))
    assert len(neighbours) == expected**2
    share = 3000 / expected
    assert all(abs(count - share) < 5 * share**0.5 for count in counts.values())


def test_the_generator_decides_the_draw():
    first, again = (random_policy(LAYERS * 9, BITSET, generator()) for _ in range(2))
    assert first == again
    assert len({str(random_policy(LAYERS, BITSET, generator(seed))) for seed in range(99)}) == 9
