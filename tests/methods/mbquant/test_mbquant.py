import copy

import pytest
import torch
from torch.nn.functional import relu

from bitswitch.contracts.method import StepInfo
from bitswitch.conversion import quantize
from bitswitch.methods.mbquant.branches import Branches
from bitswitch.methods.mbquant.mbquant import NETWORKS, MBQuant, branches_of
from bitswitch.models.cifar_resnet import CifarResNet
from bitswitch.plugins import registry
from bitswitch.spec.run import RunSpec
from bitswitch.spec.training import TrainingSpec
from bitswitch.types import FLOAT_BITS

BITSET = (8, 6, 4, 2)
IMAGES = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def method(bitset=BITSET, **options):
    return MBQuant(MBQuant.Options(**options), bitset)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = quantize(CifarResNet(1, 4, preactivation=False), method())
    model.calibrate([IMAGES])
    return model


@pytest.mark.parametrize(
    ("bitset", "expected"),
    [
        ((8, 6, 4, 2), {8: (0, 1, 2, 3), 6: (1, 2, 3), 4: (1, 2), 2: (0,)}),
        ((6, 4), {6: (0, 1, 2), 4: (1, 2)}),
        ((4, 2), {4: (0, 1), 2: (0,)}),
        ((2,), {2: (0,)}),
    ],
)
def test_branches_of_bit_widths(bitset, expected):
    assert branches_of(bitset) == expected


def test_b_bits_run_half_as_many_branches(model):
    ran = []
    (branches,) = (m for m in model.modules() if isinstance(m, Branches))
    for index, branch in enumerate(branches.branches):
        branch.register_forward_hook(lambda *_, index=index: ran.append(index))
    for bits, expected in branches_of(BITSET).items():
        ran.clear()
        with model.at(bits):
            model(IMAGES)
        assert tuple(ran) == expected


def test_a_narrow_network_is_its_branch_alone(model):
    """At 2 bits the network is stem, first branch, pool and classifier, nothing else."""
    model.eval().switch(2)
    net = model.net
    body = net.stages.branches[0]
    x = body(relu(net.bn(net.conv1(IMAGES)))).mean((2, 3))
    torch.testing.assert_close(model(IMAGES), net.fc(x))


def test_all_weights_have_two_bits_at_every_width(model):
    for bits in BITSET:
        model.switch(bits)
        for layer in model.layers.values():
            weight = layer.weight_quantizer(layer.weight, layer.weight_switch.width)
            assert len(weight.unique()) <= 4


def test_only_branches_in_use_learn(model):
    model.train().switch(4)
    model(IMAGES).square().sum().backward()
    for name, layer in model.layers.items():
        used = name.split(".")[2] in ("1", "2")
        assert (layer.weight.grad is not None) == used
        assert bool(layer.weight_quantizer.scale.grad is not None) == used
    idle = {id(p) for p in model.inactive_parameters()}
    assert all((p.grad is None) == (id(p) in idle) for p in model.net.stages.parameters())


def test_branches_start_from_the_float_network():
    torch.manual_seed(0)
    net = CifarResNet(1, 4, preactivation=True).eval()
    expected = copy.deepcopy(net)(IMAGES)
    equal = quantize(copy.deepcopy(net), method(noise=0)).eval()
    with equal.at(FLOAT_BITS):
        torch.testing.assert_close(equal(IMAGES), expected)
    first, *others = (
        layer
        for name, layer in quantize(net, method()).layers.items()
        if name.endswith("0.0.conv1")
    )
    for other in others:
        ratio = (other.weight - first.weight).std() / first.weight.std()
        assert 0.08 < ratio < 0.12


def test_no_branch_is_made_in_vain():
    model = quantize(CifarResNet(1, 4, preactivation=True), method((4, 2)))
    assert len(model.net.stages.branches) == 2


def test_the_widest_teaches_all_others_half():
    training = TrainingSpec(epochs=1, batch_size=1, learning_rate=5e-4)
    passes = method().passes(training, StepInfo(0, 1, 0, 1, torch.Generator()), [])
    assert [(one.bits, one.teacher) for one in passes] == [(8, None), (6, 0), (4, 0), (2, 0)]
    assert {one.distill_weight for one in passes[1:]} == {0.5}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"bitset": (4, 3, 2)}, "does not divide 3"),
        ({"model": {"name": "timm", "options": {"architecture": "deit_tiny"}}}, "body of 'timm'"),
        (
            {
                "training": {
                    "epochs": 1,
                    "batch_size": 1,
                    "learning_rate": 5e-4,
                    "distillation": "ps-kd",
                }
            },
            "distillation",
        ),
    ],
)
def test_what_it_cannot_run(changes, reason):
    fields = {
        "method": "mbquant",
        "model": "resnet8",
        "dataset": "digits",
        "bitset": BITSET,
        "training": {"epochs": 1, "batch_size": 1, "learning_rate": 5e-4},
        "seed": 0,
    }
    answer = method().skip(RunSpec.model_validate(fields | changes))
    assert answer is None if reason is None else reason in answer


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_it_accepts_can_be_given_branches(name):
    net = registry.create("models", name, {}).build(4, 0)
    model = quantize(net, method((4, 2))).eval()
    for bits in (4, 2):
        with model.at(bits), torch.no_grad():
            assert model(torch.randn(1, 3, 32, 32)).shape == (1, 4)
