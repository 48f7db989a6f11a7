import pytest
import timm
import torch

from bitswitch.conversion import quantize
from bitswitch.errors import SpecError, WeightsError
from bitswitch.plugins import registry


def create(**options):
    return registry.create("models", "timm", options)


def test_any_timm_model_is_built_by_name():
    net = create(architecture="resnet18").build(7, 0).eval()
    with torch.no_grad():
        assert net(torch.randn(1, 3, 32, 32)).shape == (1, 7)


@pytest.mark.parametrize(("rate", "blocks"), [(0.0, ["blocks.0", "blocks.1"]), (0.1, ["blocks.0"])])
def test_blocks_that_drop_out_are_not_computed_again(rate, blocks):
    """Stochastic depth grows from block to block; the first one has none."""
    arguments = {"img_size": 32, "depth": 2, "drop_path_rate": rate}
    model = create(architecture="deit_tiny_patch16_224", arguments=arguments)
    assert model.recomputable(model.build(7, 0)) == blocks


def test_weights_depend_on_the_seed_alone():
    state = torch.get_rng_state()
    first, second = (create(architecture="mobilenetv2_050").build(3, 0).state_dict() for _ in "ab")
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet81", "resnet18"),
        ("mobilnetv2_100", "mobilenetv2_100"),
        ("resnet18.a1_in1", "a1_in1k"),
    ],
)
def test_an_unknown_name_gets_the_nearest(name, near):
    with pytest.raises(SpecError, match=f"Did you mean '.*{near}'"):
        create(architecture=name)


def test_the_architecture_is_needed():
    with pytest.raises(SpecError, match="architecture"):
        create()


def test_a_weight_tag_is_accepted():
    assert create(architecture="resnet18.a1_in1k").options.architecture == "resnet18.a1_in1k"


def test_a_local_file_is_loaded(tmp_path):
    source = create(architecture="mobilenetv2_050").build(1000, 0)
    path = tmp_path / "weights.pth"
    torch.save(source.state_dict(), path)
    net = create(architecture="mobilenetv2_050", weights=str(path)).build(10, 1)
    assert torch.equal(net.conv_stem.weight, source.conv_stem.weight)


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("resnet18.a1_in1k", "https://huggingface.co/timm/resnet18.a1_in1k"),
        ("mobilenetv2_075", "timm knows of none"),
    ],
)
def test_unreachable_weights_name_the_file(monkeypatch, name, where):
    build = timm.create_model

    def offline(*args, pretrained=False, **options):
        if pretrained:
            raise OSError("no route to host")
        return build(*args, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(WeightsError) as caught:
        create(architecture=name, weights="imagenet").build(1000, 0)
    assert "no route to host" in str(caught.value)
    assert where in str(caught.value)


def test_an_architecture_may_be_sized():
    arguments = {"img_size": 16, "patch_size": 4, "embed_dim": 24, "depth": 2, "num_heads": 2}
    net = create(architecture="vit_tiny_patch16_224", arguments=arguments).build(10, 0)
    assert net(torch.zeros(1, 3, 16, 16)).shape == (1, 10)
    assert len(net.blocks) == 2


def test_inputs_behind_gelu_are_signed():
    arguments = {"img_size": 16, "patch_size": 8, "embed_dim": 24, "depth": 1, "num_heads": 2}
    net = create(architecture="vit_tiny_patch16_224", arguments=arguments).build(10, 0)
    model = quantize(net, registry.create("methods", "double-rounding", {}, (8, 2)))
    assert list(model.layers) == [
        f"blocks.0.{name}" for name in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    ]
    model.calibrate([torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))])
    assert model.layers["blocks.0.mlp.fc2"].activation_quantizer.signed
    with model.at(2):
        assert model(torch.zeros(1, 3, 16, 16)).isfinite().all()
