import pytest

from bitswitch.cli.policy_text import difference, shown
from bitswitch.errors import RecordError
from bitswitch.results.policies import CostsRecord, HeldOut, PolicyFile
from bitswitch.tasks.classification import Classification


def policy(search="ilp", latency=None, **layers):
    costs = CostsRecord(
        first_last="excluded",
        bitops=2.5e9,
        size=8 * 2**20,
        average_bits=3.0,
        weighted_average_bits=2.25,
        activation_bits=4.0,
        latency=latency,
    )
    return PolicyFile(
        run="double-rounding-resnet8-digits-s0-0123abcd",
        model="resnet8",
        dataset="digits",
        bitset=(4, 2),
        search=search,
        budget="average-bits-3",
        held_out=HeldOut.of(Classification().headline, {"top1": 91.5}),
        costs=costs,
        layers=layers,
    )


def test_a_policy_shows_bits_and_costs():
    text = shown(policy(conv1=(4, 4), conv2=(2, 4)))
    assert "conv1  w4a4\nconv2  w2a4" in text
    assert "BitOps                 2.5 G" in text
    assert "size                   1 MiB" in text
    assert "held-out Top-1 91.50 %" in text
    assert "latency" not in text


def test_only_layers_that_differ_are_listed():
    text = difference(
        policy(conv1=(4, 4), conv2=(2, 4)), policy("haq", 1.5, conv1=(4, 4), conv2=(4, 4))
    )
    assert text.startswith("1 of 2 layers differ\n")
    assert "conv2  w2a4  w4a4" in text
    assert "conv1" not in text
    assert "latency                -        1.5 ms" in text


def test_equal_policies_differ_nowhere():
    one = policy(conv1=(4, 4))
    assert difference(one, one).startswith("0 of 1 layers differ\n\nBitOps")


def test_policies_of_two_networks_are_refused():
    with pytest.raises(RecordError, match=r"different networks.*2 layers"):
        difference(policy(conv1=(4, 4)), policy(conv2=(4, 4)))
