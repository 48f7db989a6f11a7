import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from bitswitch.deployment.layers import IntegerLayer
from bitswitch.deployment.snapshot import TokenGrid
from bitswitch.errors import BitWidthError
from bitswitch.models.cifar_resnet import ResNet8
from bitswitch.nn.policy import random_policy
from bitswitch.quant.quantizer import Width

from . import exported

BITSET = (8, 4, 2)
RUNS = {
    "double rounding": exported.run_of(bitset=(8, 6, 4, 2)),
    "three bit-widths": exported.run_of(bitset=(4, 3, 2)),
    "per channel": exported.run_of(weight_granularity="per-channel"),
    "per group": exported.run_of(weight_granularity="per-group-8"),
    "shifted": exported.run_of(rounding="shift"),
    "transitional batch norm": exported.run_of("bit-mixer"),
    "zero points of weights": exported.run_of("adabits", first_last_bits=8),
    "zero points of both": exported.run_of("adabits", sides="double"),
    "a rescaled grid": exported.run_of("adabits", scheme="modified", rescale="stddev"),
}


def near(integers, trained):
    return torch.allclose(integers, trained, rtol=1e-5, atol=1e-5)


def near_but_for_a_tie(integers, trained):
    """Of one image in six, float32 may round an input to the other side of a tie."""
    apart = (integers - trained).abs().amax(dim=1)
    return (apart > 1e-5).sum() <= len(apart) // 6 and apart.max() < 1e-2


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_logits_are_those_of_training(run):
    trained = exported.quantized(run)
    model, x = exported.integers(trained, run), exported.images(seed=5)
    draw = torch.Generator().manual_seed(4)
    mixed = [random_policy(model.layers, model.bitset, draw, apart) for apart in (False, True)]
    for policy in (*model.bitset, *mixed):
        model.switch(policy)
        with torch.no_grad(), trained.at(policy):
            assert near_but_for_a_tie(model(x), trained(x)), policy


@pytest.mark.parametrize("method", ["double-rounding", "bit-mixer"])
def test_batch_norms_follow_the_layers_of_training_in_any_order(monkeypatch, method):
    monkeypatch.setattr(ResNet8, "order", lambda self, net: None)
    run = exported.run_of(method)
    trained = exported.quantized(run)
    artifact = exported.artifact(trained, run)
    follows = {norm["name"]: norm.get("follows") for norm in artifact.content[0]["norms"]}
    assert follows["bn"] == ["stages.2.0.conv2", "stages.2.0.conv1"]
    assert follows["stages.0.0.bn2"] is None
    model, x = exported.integers(trained, run), exported.images(seed=5)
    policy = {name: BITSET[place % 3] for place, name in enumerate(model.layers)}
    policy["stages.2.0.conv2"] = 4  # and the first layer has 8
    model.switch(policy)
    with torch.no_grad(), trained.at(policy):
        assert near_but_for_a_tie(model(x), trained(x))


def test_what_batch_norms_follow_is_left_out_where_it_is_usual():
    run = exported.run_of()
    norms = exported.artifact(exported.quantized(run), run).content[0]["norms"]
    assert {tuple(norm) for norm in norms} == {("name", "kind")}


@pytest.mark.parametrize("form", ["original", "preactivation"])
def test_forms_of_the_network(form):
    run = exported.run_of(model={"name": "resnet8", "options": {"form": form}})
    trained = exported.quantized(run)
    model, x = exported.integers(trained, run), exported.images()
    with torch.no_grad(), trained.at(4), model.at(4):
        assert near(model(x), trained(x))


VIT = {
    "name": "timm",
    "options": {
        "architecture": "vit_tiny_patch16_224",
        "arguments": {"img_size": 16, "patch_size": 8, "depth": 1},
    },
}


@pytest.mark.parametrize("model", ["mobilenetv2", "vit"])
def test_depthwise_and_attention_layers(model):
    run = exported.run_of(model=VIT if model == "vit" else model, bitset=(4, 2))
    size = 16 if model == "vit" else 32
    trained = exported.quantized(run, size)
    integers, x = exported.integers(trained, run, size), exported.images(size, 2)
    with torch.no_grad(), trained.at(2), integers.at(2):
        assert near(integers(x), trained(x))


def weight_of(model, layer, bits):
    """Return the weight that training uses."""
    found = model.layers[layer]
    return found.weight_quantizer(found.weight, Width.of(bits, model.bitset))


def test_groups_of_inputs_and_scales_of_tokens():
    small = {"img_size": 8, "patch_size": 4, "embed_dim": 16, "depth": 1, "num_heads": 2}
    net = {"name": "timm", "options": {**VIT["options"], "arguments": small}}
    fine = {"weight_granularity": "per-group-8", "activation_granularity": "per-token"}
    run = exported.run_of(model=net, bitset=(8, 4, 2), **fine)
    trained = exported.quantized(run)
    model, x = exported.integers(trained, run), exported.images()
    layer = next(name for name in model.layers if name.endswith("qkv"))
    for bits in model.bitset:
        with torch.no_grad(), trained.at(bits), model.at(bits):
            assert near(model(x), trained(x)), bits
        operands = model.snapshot(bits).layers[layer]
        assert operands.weight_scale.shape == (48, 2)
        assert torch.equal(operands.weight(), weight_of(trained, layer, bits))
        assert isinstance(operands.grid, TokenGrid)
    bound = model.bounds()[layer]
    assert bound.by_codes <= bound.by_range == 8 * 128 * 128
    assert bound.fits_int32


def test_switching_never_drifts(pair):
    _, model = pair
    x = exported.images()
    first = {bits: (model.snapshot(bits), None) for bits in model.bitset}
    for bits in first:
        with model.at(bits):
            first[bits] = (first[bits][0], model(x))
    for bits in [*itertools.chain(*itertools.permutations(model.bitset))] * 3:
        model.switch(bits)
        assert torch.equal(model(x), first[bits][1])
    for bits, (snapshot, _) in first.items():
        for name, operands in model.snapshot(bits).layers.items():
            assert torch.equal(operands.codes, snapshot.layers[name].codes)
    model.switch(8)


def test_a_request_ends_at_the_bit_widths_it_began_with(pair):
    _, model = pair
    x, expected = exported.images(), {}
    for bits in (8, 2):
        with model.at(bits):
            expected[bits] = model(x)
    model.switch(8)
    layers = [m for m in model.net.modules() if isinstance(m, IntegerLayer)]
    handle = layers[3].register_forward_pre_hook(lambda *inputs: model.switch(2))
    try:
        assert torch.equal(model(x), expected[8])  # switched in its middle
    finally:
        handle.remove()
    assert torch.equal(model(x), expected[2])
    model.switch(8)


def test_threads_see_one_of_the_policies_never_a_mix(pair):
    _, model = pair
    x = exported.images(count=2)
    policies = [8, 4, 2, dict(zip(model.layers, itertools.cycle((8, 2))))]
    expected = []
    for policy in policies:
        with model.at(policy):
            expected.append(model(x))
    stop = threading.Event()

    def switch():
        while not stop.is_set():
            for policy in policies:
                model.switch(policy)

    def serve(index):
        results = [model(x) for _ in range(25)]
        with model.at(policies[index]):
            own = all(torch.equal(model(x), expected[index]) for _ in range(10))
        return own and all(any(torch.equal(r, e) for e in expected) for r in results)

    with ThreadPoolExecutor(4) as pool:
        switching = pool.submit(switch)
        try:
            assert all(pool.map(serve, range(3)))
        finally:
            stop.set()
        switching.result()
    model.switch(8)


def test_at_is_this_thread_alone_and_nests(pair):
    _, model = pair
    model.switch(8)
    with model.at(4), ThreadPoolExecutor(1) as pool:
        assert model.policy == 4
        assert pool.submit(lambda: model.policy).result() == 8
        with model.at(2):
            model.switch(4)
            assert model.policy == 2
        assert model.policy == 4
    assert model.policy == 4
    model.switch(8)


def test_snapshots_cannot_be_changed(pair):
    _, model = pair
    with pytest.raises(TypeError):
        model.snapshot(8).layers["x"] = None
    policy = dict.fromkeys(model.layers, 4)
    model.switch(policy)
    policy[model.layers[0]] = 2
    assert model.policy == dict.fromkeys(model.layers, 4)
    model.switch(8)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (32, "no bit-width 32; the nearest is 8.\n  it has: {8,4,2}$"),
        (5, "the nearest is 4"),
        ({"stages.0.0.conv1": 8}, "7 missing"),
        ({"fc": 8}, "'fc', which is no quantized layer"),
    ],
)
def test_what_the_model_has_not_is_told(pair, policy, message):
    _, model = pair
    with pytest.raises(BitWidthError, match=message):
        model.switch(policy)
    mixed = dict.fromkeys(model.layers, (8, 32))
    with pytest.raises(BitWidthError, match="no bit-width 32"):
        model.switch(mixed)
    assert model.policy == 8


def test_storage_counts_every_byte():
    run = exported.run_of()
    trained = exported.quantized(run)
    model = exported.integers(trained, run)
    weights = sum(layer.weight.numel() for layer in trained.quantized_layers.values())
    stored = model.storage()
    assert (stored.codes, stored.narrow) == (weights, 0)
    assert stored.scales == 4 * 8 * (1 + 3)  # float32, 8 layers: a weight's, three of inputs
    model.switch(4)
    assert model.storage() == stored._replace(narrow=weights)
    model.switch(8)
    assert model.storage() == stored


def test_narrow_codes_are_kept_if_asked_for():
    run = exported.run_of()
    content = exported.artifact(exported.quantized(run), run).content
    model = exported.assembled(*content, "memory", keep_narrow=True)
    for bits in (4, 2, 8):
        model.switch(bits)
    assert model.storage().narrow == 2 * model.storage().codes
    for name, operands in model.snapshot(2).layers.items():
        assert operands.codes is model.snapshot(2).layers[name].codes


def test_accumulators_stay_within_their_bounds(pair):
    _, model = pair
    seen = {}
    for bits in model.bitset:
        with model.at(bits):
            model(
                exported.images() * 3,
                lambda name, codes, sums: seen.setdefault(name, []).append(sums.abs().max()),
            )
    bounds = model.bounds()
    assert bounds.keys() == seen.keys()
    for name, bound in bounds.items():
        assert 0 < max(seen[name]) <= bound.by_codes <= bound.by_range
        assert bound.fits_int32
