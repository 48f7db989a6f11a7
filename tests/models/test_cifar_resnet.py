import pytest
import torch
from torch import nn
from torch.nn import functional

from bitswitch.errors import SpecError
from bitswitch.plugins import registry

FORMS = ("original", "preactivation")


def build(name="resnet20", form="preactivation", classes=10, seed=0):
    return registry.create("models", name, {"form": form}).build(classes, seed)


def convolutions(net):
    return {name: m for name, m in net.named_modules() if isinstance(m, nn.Conv2d)}


@pytest.mark.parametrize(
    ("name", "form", "weights"),
    [
        ("resnet20", "original", 269_722),  # 0.27 M (he2016deep, Table 6)
        ("resnet20", "preactivation", 272_282),
        ("resnet8", "original", 75_290),
        ("resnet8", "preactivation", 77_850),
    ],
)
def test_the_number_of_weights_is_the_published_one(name, form, weights):
    assert sum(p.numel() for p in build(name, form).parameters()) == weights


@pytest.mark.parametrize(("name", "depth"), [("resnet8", 8), ("resnet20", 20)])
def test_the_depth_is_the_name(name, depth):
    net = build(name, "original")
    assert len(convolutions(net)) + 1 == depth


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [16, 32])
def test_images_become_logits(form, size):
    net = build("resnet8", form, classes=7)
    assert net(torch.randn(2, 3, size, size)).shape == (2, 7)


@pytest.mark.parametrize("form", FORMS)
def test_memory_format_is_kept_through_all_convolutions(form):
    net = build("resnet8", form).to(memory_format=torch.channels_last)
    formats = []
    for module in convolutions(net).values():
        module.register_forward_hook(
            lambda _, inputs, output: formats.append(
                output.is_contiguous(memory_format=torch.channels_last)
            )
        )
    net(torch.randn(2, 3, 16, 16).to(memory_format=torch.channels_last))
    assert formats
    assert all(formats)


@pytest.mark.parametrize("form", FORMS)
def test_every_inner_convolution_reads_non_negative_inputs(form):
    net = build("resnet20", form).eval()
    lowest = {}
    for name, module in convolutions(net).items():
        module.register_forward_hook(
            lambda _, inputs, output, name=name: lowest.update({name: inputs[0].min().item()})
        )
    net(torch.randn(4, 3, 16, 16))
    assert lowest.pop("conv1") < 0
    assert min(lowest.values()) == 0


def test_only_the_preactivation_form_has_shortcut_weights():
    names = {form: set(convolutions(build("resnet20", form))) for form in FORMS}
    assert not [name for name in names["original"] if "shortcut" in name]
    found = sorted(name for name in names["preactivation"] if "shortcut" in name)
    assert found == ["stages.1.0.shortcut", "stages.2.0.shortcut"]


def test_the_original_shortcut_subsamples_and_pads_with_zeros():
    block = build("resnet8", "original").stages[1][0]
    x = torch.rand(2, 16, 6, 6)
    shortcut = block._shortcut(x)
    assert torch.equal(shortcut[:, 8:24], x[:, :, ::2, ::2])
    assert shortcut[:, :8].abs().sum() == shortcut[:, 24:].abs().sum() == 0


def test_the_preactivation_form_by_hand():
    net = build("resnet8", "preactivation").eval()
    images = torch.randn(2, 3, 16, 16)
    x = net.conv1(images)
    for (block,) in net.stages:
        active = functional.relu(block.bn1(x))
        skip = block.shortcut(active) if block.shortcut else x
        x = skip + block.conv2(functional.relu(block.bn2(block.conv1(active))))
    expected = net.fc(functional.relu(net.bn(x)).mean((2, 3)))
    torch.testing.assert_close(net(images), expected)


@pytest.mark.parametrize("form", FORMS)
def test_weights_depend_on_the_seed_alone(form):
    first = build("resnet8", form).state_dict()
    torch.rand(5)
    state = torch.get_rng_state()
    second = build("resnet8", form).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build("resnet8", form, seed=1).state_dict()
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


def test_an_unknown_form_is_refused():
    with pytest.raises(SpecError, match="form"):
        build(form="postactivation")
