"""Costs against sums written out, and against numbers that publications print."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import models

from bitswitch.costs import CostModel, LayerShape, read_latencies
from bitswitch.errors import SpecError
from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.shapes import layer_shapes
from bitswitch.types import FLOAT_BITS

COSTS = ("bitops", "size", "average-bits", "weighted-average-bits", "activation-bits")
MIB = 8 * 2**20
"""Bits."""


def shape(name, weights=10, macs=100, inputs=7, scales=0, fixed_bits=None, is_first_last=False):
    place = fixed_bits, is_first_last
    return LayerShape(name, "conv", weights, macs, inputs, scales, 4, 4, 3, 1, 1, *place)


FIRST = shape("first", 3, 5, 11, fixed_bits=8, is_first_last=True)
LAST = shape("last", 17, 17, 13, fixed_bits=32, is_first_last=True)
SHAPES = [FIRST, shape("a", 10, 100, 7, 1), shape("b", 30, 60, 3, 4), LAST]
POLICY = {"a": (4, 8), "b": 2}


@pytest.mark.parametrize(
    ("first_last", "expected"),
    [
        (
            "excluded",
            {
                "bitops": 100 * 4 * 8 + 60 * 2 * 2,
                "size": 10 * 4 + 32 + 30 * 2 + 4 * 32,
                "average_bits": (4 + 2) / 2,
                "weighted_average_bits": (10 * 4 + 30 * 2) / 40,
                "activation_bits": (7 * 8 + 3 * 2) / 10,
                "latency": None,
            },
        ),
        (
            "counted",
            {
                "bitops": 5 * 64 + 100 * 4 * 8 + 60 * 2 * 2 + 17 * 1024,
                "size": 3 * 8 + 10 * 4 + 32 + 30 * 2 + 4 * 32 + 17 * 32,
                "average_bits": (8 + 4 + 2 + 32) / 4,
                "weighted_average_bits": (3 * 8 + 10 * 4 + 30 * 2 + 17 * 32) / 60,
                "activation_bits": (11 * 8 + 7 * 8 + 3 * 2 + 13 * 32) / 34,
                "latency": None,
            },
        ),
    ],
)
def test_costs_are_these_sums(first_last, expected):
    assert CostModel(SHAPES, first_last).costs(POLICY)._asdict() == pytest.approx(expected)


numbers = st.integers(1, 10**7)
layers = st.lists(
    st.builds(
        shape,
        name=st.uuids().map(str),
        weights=numbers,
        macs=numbers,
        inputs=numbers,
        scales=st.integers(0, 64),
        fixed_bits=st.sampled_from([None, None, 8, 32]),
        is_first_last=st.booleans(),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda one: one.name,
).filter(lambda shapes: any(one.fixed_bits is None and not one.is_first_last for one in shapes))


@given(layers, st.sampled_from(["excluded", "counted"]), st.data())
def test_any_policy_costs_what_its_layers_cost(shapes, first_last, data):
    bits = st.integers(2, 8)
    costs = CostModel(shapes, first_last)
    policy = {one.name: data.draw(st.tuples(bits, bits)) for one in costs.layers}
    counted = [one for one in shapes if first_last == "counted" or not one.is_first_last]
    pairs = [policy.get(one.name, (one.fixed_bits, one.fixed_bits)) for one in counted]
    bitops = size = plain = weighted = inputs = 0
    for one, (weight, activation) in zip(counted, pairs, strict=True):
        bitops += one.macs * weight * activation
        size += one.weights * weight + 32 * one.scales
        plain += weight
        weighted += one.weights * weight
        inputs += one.inputs * activation
    found = costs.costs(policy)
    assert found.bitops == bitops
    assert found.size == size
    assert found.average_bits == pytest.approx(plain / len(counted))
    assert found.weighted_average_bits == pytest.approx(
        weighted / sum(one.weights for one in counted)
    )
    assert found.activation_bits == pytest.approx(inputs / sum(one.inputs for one in counted))


@given(layers, st.sampled_from(["excluded", "counted"]))
def test_every_policy_is_within_the_range(shapes, first_last):
    costs = CostModel(shapes, first_last)
    for name in COSTS:
        low, high = costs.range(name, (8, 4, 2))
        middle = costs.total(name, dict.fromkeys((one.name for one in costs.layers), 4))
        assert middle == pytest.approx(costs.uniform(name, 4))
        assert low <= middle * (1 + 1e-12)
        assert middle <= high * (1 + 1e-12)
        assert costs.fixed(name) <= low * (1 + 1e-12)


def test_a_bit_width_may_lie_between_two():
    costs = CostModel(SHAPES)
    assert costs.uniform("average-bits", 3.5) == pytest.approx(3.5)
    assert costs.uniform("bitops", 3.5) == pytest.approx(160 * 3.5**2)


def test_latencies_come_from_the_table():
    table = {("a", 4, 8): 0.5, ("b", 2, 2): 0.25, ("first", 8, 8): 1.0, ("last", 32, 32): 2.0}
    assert CostModel(SHAPES, "excluded", table).costs(POLICY).latency == 0.75
    assert CostModel(SHAPES, "counted", table).costs(POLICY).of("latency") == 3.75
    with pytest.raises(SpecError, match="no entry for layer 'b' at 4-bit weights and 4-bit act"):
        CostModel(SHAPES, "excluded", table).total("latency", {"a": (4, 8), "b": 4})


def test_without_a_table_there_is_no_latency():
    costs = CostModel(SHAPES).costs(POLICY)
    assert costs.of("average-bits") == 3
    with pytest.raises(SpecError, match="no latency table"):
        costs.of("latency")


# What publications print.

LIMPQ_WEIGHTS = "6345445445434333443443432323233223222222222222222222"
LIMPQ_INPUTS = "6466634634535563453453444655455465356356364462646646"
"""Bit-widths of ResNet-50's inner layers at W3A4 and 12.2 times less size; its README."""
HAQ_WEIGHTS = "665555455455555535435434442543353253243253253425234234"
"""Of all layers of ResNet-50, at a tenth of the size; its README."""


def network(name, first_last_bits=8, first_strides=False):
    """Return the layers of an ImageNet network with fixed first and last layers.

    Args:
        name: In torchvision.
        first_last_bits: Of both.
        first_strides: Bottlenecks of ResNet-50 shrink maps in their first convolution, as in the
            original publication, instead of the second.
    """
    with torch.device("meta"):
        net = models.get_model(name)
    for stage in (net.layer2, net.layer3, net.layer4) if first_strides else ():
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    shapes = layer_shapes(QuantizedModel(net, (FLOAT_BITS,), 0), (3, 224, 224))
    inner = [one._replace(fixed_bits=None) for one in shapes[1:-1]]
    ends = {"fixed_bits": first_last_bits, "is_first_last": True}
    first_last = [one._replace(**ends) for one in (shapes[0], shapes[-1])]
    return [first_last[0], *inner, first_last[1]]


def limpq_policy(costs):
    pairs = zip(map(int, LIMPQ_WEIGHTS), map(int, LIMPQ_INPUTS), strict=True)
    return dict(zip((one.name for one in costs.layers), pairs, strict=True))


@pytest.fixture(scope="module")
def resnet50():
    return network("resnet50")


def test_limpqs_policy_is_12_times_smaller(resnet50):
    costs = CostModel(resnet50, "counted")
    full = 32 * sum(one.weights for one in resnet50)
    assert full / costs.total("size", limpq_policy(costs)) == pytest.approx(12.2, abs=0.05)


def test_limpqs_policy_keeps_its_budget_only_as_its_code_counts(resnet50):
    """That code floors the product of two output sizes which it did not floor before.

    A map of 56 that is halved by a 3x3 convolution with padding 1 counts as 28.5^2 = 812 places
    instead of 784. Layers with a stride get more expensive, and so does the budget: that of all
    layers at 3-bit weights and 4-bit inputs.
    """
    costs = CostModel(resnet50)
    policy, budget = limpq_policy(costs), 12 * sum(one.macs for one in costs.layers)
    assert costs.total("bitops", policy) / budget == pytest.approx(1.0049, abs=5e-5)
    quirky = CostModel([_as_limpq_counts(one) for one in resnet50])
    budget = 12 * sum(one.macs for one in quirky.layers)
    assert 0.9999 < quirky.total("bitops", policy) / budget <= 1


def _as_limpq_counts(one):
    """Return a layer with the multiply-accumulates of the public code."""
    if one.kind == "linear":
        return one
    side = (one.inputs // one.in_channels) ** 0.5
    padding = (one.kernel - 1) // 2
    unfloored = (side + 2 * padding - one.kernel) / one.stride + 1
    assert one.macs == int(unfloored) ** 2 * one.weights
    return one._replace(macs=int(unfloored**2) * one.weights)


def test_haqs_policy_has_a_tenth_of_the_size(resnet50):
    shapes = [
        one._replace(fixed_bits=None, is_first_last=False) for one in resnet50
    ]  # it searches all layers
    costs = CostModel(shapes)
    policy = dict(zip((one.name for one in shapes), map(int, HAQ_WEIGHTS), strict=True))
    share = costs.total("size", policy) / (32 * sum(one.weights for one in shapes))
    assert share == pytest.approx(0.0996, abs=5e-5)


HAWQ = {
    # name, bits: MiB, 10^9 BitOps; first and last layer at 8 bits
    ("resnet18", 32): (44.6, 1858),
    ("resnet18", 8): (11.1, 116),
    ("resnet18", 4): (5.8, 34),
    ("resnet50", 32): (97.8, 3951),
    ("resnet50", 8): (24.5, 247),
    ("resnet50", 4): (13.1, 67),
}


@pytest.mark.parametrize(("name", "bits"), HAWQ)
def test_hawqs_uniform_networks_cost_what_it_prints(name, bits):
    """Its ResNet-50 has the strides of the original publication.

    BitOps are printed as the nearest or the next lower integer; sizes of ResNet-50 are within
    1 %: those of files, which hold more than weights.
    """
    size, bitops = HAWQ[name, bits]
    shapes = network(name, first_last_bits=max(bits, 8), first_strides=name == "resnet50")
    costs = CostModel(shapes, "counted")
    assert costs.uniform("size", bits) / MIB == pytest.approx(size, rel=0.01)
    assert costs.uniform("bitops", bits) / 1e9 == pytest.approx(bitops, abs=0.75)


def test_a_mean_over_layers_says_little_of_the_size(resnet50):
    """The same mean, three very different sizes."""
    costs = CostModel(resnet50)
    names = [one.name for one in sorted(costs.layers, key=lambda one: one.weights)]
    small, large = names[:26], names[26:]
    averages = [
        costs.costs(dict.fromkeys(small, low) | dict.fromkeys(large, high))
        for low, high in ((6, 2), (4, 4), (2, 6))
    ]
    assert [one.average_bits for one in averages] == pytest.approx([4, 4, 4])
    weighted = [one.weighted_average_bits for one in averages]
    assert weighted[0] < 3 < weighted[1] < 5 < weighted[2]


HEADER = "layer,weight_bits,activation_bits,latency_ms\n"


def write(tmp_path, text):
    path = tmp_path / "latencies.csv"
    path.write_text(text)
    return path


def test_rows_are_found_by_layer_and_bit_widths(tmp_path):
    path = write(tmp_path, HEADER + "conv1,8,4,0.25\nconv1,4,4,1e-3\n")
    assert read_latencies(path) == {("conv1", 8, 4): 0.25, ("conv1", 4, 4): 0.001}


def test_columns_may_come_in_any_order_with_others_between(tmp_path):
    path = write(tmp_path, "latency_ms,layer,runs,activation_bits,weight_bits\n0.5,conv1,100,4,8\n")
    assert read_latencies(path) == {("conv1", 8, 4): 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer,bits,latency_ms\nconv1,8,0.5\n", "weight_bits"),
        (HEADER + "conv1,8,8\n", "TypeError"),
        (HEADER + "conv1,eight,8,0.5\n", "eight"),
        (HEADER + "conv1,8,8,fast\n", "fast"),
        (HEADER + "conv1,8,8,nan\n", "latency_ms is nan"),
        (HEADER + "conv1,8,8,inf\n", "latency_ms is inf"),
        (HEADER + "conv1,8,8,-1\n", "latency_ms is -1"),
        (HEADER + "conv1,8,8,1\nconv1,8,8,2\n", "layer 'conv1' has two latencies at w8a8"),
        (HEADER + "c" * 200_000 + ",8,8,1\n", "field larger than field limit"),
        (HEADER + "conv1," + "8" * 5000 + ",8,1\n", "ValueError"),
    ],
)
def test_what_is_no_table_is_named_with_the_columns_it_needs(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(SpecError, match=message) as error:
        read_latencies(path)
    assert str(path) in str(error.value)
    assert "layer, weight_bits, activation_bits, latency_ms" in str(error.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(SpecError, match="FileNotFoundError"):
        read_latencies(tmp_path / "none.csv")
