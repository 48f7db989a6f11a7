"""Bytes of a network in every form, against its tensors."""

import pytest
from safetensors.torch import save
from torch import nn

from bitswitch.deployment import container
from bitswitch.deployment.loading import load
from bitswitch.deployment.storage import forms
from bitswitch.training.build import Parts

from . import decoders, exported


@pytest.fixture(scope="module", params=[(8, 4, 2), (4, 3, 2)], ids=str)
def case(request, tmp_path_factory):
    """Return run, file and forms by (form, bits)."""
    run = exported.run_of(bitset=request.param)
    file = tmp_path_factory.mktemp("forms") / "model.safetensors"
    content = exported.artifact(exported.quantized(run), run).content
    file.write_bytes(container.encoded(*content))
    found = forms(file, container.read(file)[1], load(file), Parts.of(run).float_net())
    return run, file, {(one.form, one.bits): one for one in found}


def weights_of(run):
    """Return the sizes of the quantized layers, and the whole network."""
    net = Parts.of(run).float_net()
    convs = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return [layer.weight.numel() for layer in convs[1:-1]], net


def test_forms(case):
    run, _, found = case
    each = {(form, bits) for form in ("separate", "memory") for bits in run.bitset}
    assert set(found) == {("fp32", None), ("file", None)} | each


def test_full_precision_is_the_state(case):
    run, _, found = case
    sizes, net = weights_of(run)
    full = found["fp32", None]
    assert full.quantized == 4 * sum(sizes)
    state = sum(v.numel() * v.element_size() for v in net.state_dict().values())
    assert full.quantized + full.rest == state
    header = len(save(net.state_dict())) - state
    assert 0 < header < 10_000


def test_the_file_is_all_of_it(case):
    run, file, found = case
    whole = found["file", None]
    assert whole.quantized + whole.rest == file.stat().st_size
    sizes, _ = weights_of(run)
    codes = sum(-(-size * run.bitset[0] // 8) for size in sizes)
    scales = 4 * len(sizes) * (1 + len(run.bitset))
    assert whole.quantized == codes + scales


def test_a_separate_model_has_its_own_codes_scales_and_norms(case):
    run, _, found = case
    sizes, net = weights_of(run)
    for bits in run.bitset:
        one = found["separate", bits]
        assert one.quantized == sum(-(-size * bits // 8) + 8 for size in sizes)
        channels = sum(m.num_features for m in net.modules() if isinstance(m, nn.BatchNorm2d))
        layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        floats = sum(v.numel() for layer in (layers[0], layers[-1]) for v in layer.parameters())
        assert one.rest == 4 * (floats + 2 * channels)


def test_in_memory_narrow_codes_stand_beside_the_stored_ones(case):
    run, _, found = case
    sizes, _ = weights_of(run)
    widest, *narrow = (found["memory", bits] for bits in run.bitset)
    for one in narrow:
        assert one.quantized - widest.quantized == sum(sizes)
        assert one.rest == widest.rest


@pytest.mark.parametrize("clamp", [True, False])
def test_codes_beyond_their_range_take_a_bit_more(clamp, tmp_path):
    """And a scale and a zero point of each channel serve all bit-widths."""
    run = exported.run_of("matquant", clamp=clamp)
    trained, file = exported.quantized(run), tmp_path / "model.safetensors"
    file.write_bytes(container.encoded(*exported.artifact(trained, run).content))
    model = load(file)
    found = forms(file, container.read(file)[1], model, Parts.of(run).float_net())
    layers = trained.layers.values()
    count = sum(layer.weight.numel() for layer in layers)
    grids = sum(4 * 2 * len(layer.weight) for layer in layers)
    inputs = 4 * len(layers)
    by_form = {(one.form, one.bits): one for one in found}
    assert by_form["file", None].quantized == count + grids + len(run.bitset) * inputs
    for bits in run.bitset:
        largest = 2 ** (bits - 1) - 1
        codes = [layer.codes for layer in model.snapshot(bits).layers.values()]
        beyond = sum(int((part > largest).sum()) for part in codes)
        assert (beyond > 0) == (not clamp and bits < 8)
        one = by_form["separate", bits]
        assert one.beyond == (beyond / count if beyond else None)
        assert one.quantized == count * bits // 8 + -(-beyond // 8) + grids + inputs


def test_scales_of_groups_are_stored_and_those_of_tokens_are_not(tmp_path):
    small = {"img_size": 8, "patch_size": 4, "embed_dim": 16, "depth": 1, "num_heads": 2}
    net = {"architecture": "vit_tiny_patch16_224", "arguments": small}
    fine = {"weight_granularity": "per-group-8", "activation_granularity": "per-token"}
    run = exported.run_of(model={"name": "timm", "options": net}, bitset=(4, 2), **fine)
    trained, file = exported.quantized(run), tmp_path / "model.safetensors"
    sizes = [layer.weight.numel() for layer in trained.layers.values()]
    file.write_bytes(container.encoded(*exported.artifact(trained, run).content))
    tensors = container.read(file)[1]
    found = forms(file, tensors, load(file), Parts.of(run).float_net())
    quantized = {(one.form, one.bits): one.quantized for one in found}
    scales = sum(4 * size // 8 for size in sizes)  # float32, one for eight weights
    assert quantized["file", None] == sum(sizes) // 2 + scales
    for bits in run.bitset:
        assert quantized["separate", bits] == sum(sizes) * bits // 8 + scales
    assert quantized["memory", 4] == sum(sizes) + scales


def test_embedding_and_head_of_a_decoder_are_told_from_the_rest(case, tmp_path):
    run = decoders.run_of()
    model, file = decoders.quantized(run), tmp_path / "model.safetensors"
    file.write_bytes(container.encoded(*decoders.artifact(model, run).content))
    net = Parts.of(run).float_net()
    found = forms(file, container.read(file)[1], load(file), net)
    both = 2 * 4 * decoders.VOCABULARY * net.size.width
    norms = sum(4 * part.numel() for part in net.parameters() if part.dim() == 1)
    for one in found:
        if one.form == "memory":
            assert one.embedding_and_head is None
        else:
            assert one.embedding_and_head == both
        if one.form in ("fp32", "separate"):
            assert one.rest == both + norms
    _, _, of_images = case
    assert all("embedding_and_head" not in one.content() for one in of_images.values())
