import re
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from bitswitch.conversion import quantize
from bitswitch.costs import CostModel
from bitswitch.errors import BitWidthError
from bitswitch.methods.lsq.lsq import Lsq
from bitswitch.nn.dataflow import NO_ENDS, FirstLast, trace
from bitswitch.nn.shapes import layer_shapes
from bitswitch.plugins import registry

from .small_network import BITSET, double_rounding, float_net
from .test_dataflow import Forked

IMAGE = (3, 8, 8)


class Blocks(nn.Module):
    """Every block has a layer whose weight it gives to a function."""

    def __init__(self, use=functional.linear):
        super().__init__()
        self.stem = nn.Linear(3, 4)
        self.blocks = nn.ModuleList(
            nn.ModuleDict({"qkv": nn.Linear(4, 4), "proj": nn.Linear(4, 4)}) for _ in range(5)
        )
        self.head = nn.Linear(4, 2)
        self.use = use

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block["proj"](self.use(x, block["qkv"].weight))
        return self.head(x)


def images(count=4, shape=IMAGE):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(0))


def test_layers_that_no_bit_width_reaches_are_refused_with_what_to_write():
    with pytest.raises(BitWidthError, match="used by another function") as refusal:
        quantize(Blocks(), double_rounding())
    text = str(refusal.value)
    assert "'blocks.0.qkv', 'blocks.1.qkv', 'blocks.2.qkv' and 2 more" in text
    assert 'keep: ["blocks.*.qkv"]' in text
    model = quantize(Blocks(), double_rounding(), keep=["blocks.*.qkv"])
    assert list(model.layers) == [f"blocks.{n}.proj" for n in range(5)]


def test_a_remedy_names_no_layer_that_could_be_quantized():
    class Odd(nn.Linear):
        pass

    net = Blocks(lambda x, weight: x)
    net.blocks[1]["proj"] = Odd(4, 4)
    with pytest.raises(BitWidthError, match=re.escape('keep: ["blocks.1.proj"]')):
        quantize(net, double_rounding())


@pytest.mark.parametrize(
    "use", [functional.linear, lambda x, weight: x @ weight.t(), lambda x, w: torch.mm(x, w.T)]
)
def test_kept_layers_cost_what_full_precision_does(use):
    model = quantize(Blocks(use), double_rounding(), keep=["blocks.*.qkv"])
    model.calibrate([images(shape=(3,))])
    costs = CostModel(layer_shapes(model, (3,)))
    policy = dict.fromkeys(model.layers, 4)
    assert costs.total("bitops", policy) == 5 * 16 * (32 * 32 + 4 * 4)
    assert costs.total("size", policy) == 5 * 16 * (32 + 4) + 5 * 32
    assert costs.total("weighted-average-bits", policy) == pytest.approx((32 + 4) / 2)


def test_every_first_layer_and_every_last_one_stays_float_or_is_pinned():
    net = Forked()
    model = quantize(net, double_rounding(), keep=["tutor"])
    assert list(model.layers) == ["body"]
    pinned = quantize(Forked(), Lsq(Lsq.Options(first_last_bits=8), (4, 2)), keep=["tutor"])
    bits = {name: layer.pinned for name, layer in pinned.quantized_layers.items()}
    assert bits == {
        **dict.fromkeys(("wide", "narrow"), (8, 32)),
        "body": None,
        **dict.fromkeys(("head_a", "head_b"), (8, 8)),
    }
    first_last = [shape.name for shape in layer_shapes(pinned, IMAGE) if shape.is_first_last]
    assert first_last == ["head_b", "wide", "narrow", "head_a"]


def test_a_network_may_say_which_layers_are_its_ends():
    model = quantize(float_net(), double_rounding(), ends=FirstLast(("0", "3"), ("11",)))
    assert list(model.layers) == ["6", "9"]
    assert len(quantize(float_net(), double_rounding(), ends=NO_ENDS).layers) == 5
    with pytest.raises(BitWidthError, match="'ends' names '1'"):
        quantize(float_net(), double_rounding(), ends=FirstLast(("1",), ()))


def test_a_layer_that_only_training_runs_is_refused():
    class Tutored(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(5))

        def forward(self, x):
            stem, body, head, extra, tutor = self.layers
            x = stem(x)
            found = head(body(x))
            return (found, tutor(extra(x))) if self.training else found

    with pytest.raises(BitWidthError, match=r"'layers.3': it runs in training alone"):
        quantize(Tutored(), double_rounding())


def _weight_norm(layer):
    return nn.utils.parametrizations.weight_norm(layer)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_weight_norm, "ParametrizedLinear computes something of its own"),
        (nn.utils.spectral_norm, "computed by a hook"),
    ],
)
def test_weights_that_are_computed_are_refused(change, words):
    def net():
        layers = [nn.Linear(3, 3) for _ in range(4)]
        layers[1] = change(layers[1])
        return nn.Sequential(*layers)

    with pytest.raises(BitWidthError, match=f"'1': .*{words}"):
        quantize(net(), double_rounding())
    assert list(quantize(net(), double_rounding(), keep=["1"]).layers) == ["2"]


def test_what_is_quantized_already_is_said_to_be():
    model = quantize(float_net(), double_rounding())
    for again in (model, model.net):
        with pytest.raises(BitWidthError, match="quantized already"):
            quantize(again, double_rounding())


def test_nothing_to_quantize_is_an_error():
    with pytest.raises(BitWidthError, match="no layer to quantize"):
        quantize(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)), double_rounding())
    with pytest.raises(BitWidthError, match="no layer to quantize"):
        quantize(nn.Sequential(nn.ReLU()), double_rounding())


class Middle(nn.Module):
    def __init__(self, middle, before, after):
        super().__init__()
        self.stem, self.middle, self.body = nn.Conv2d(3, 4, 1), middle, nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 2)
        self.before, self.after = before, after

    def forward(self, x):
        x = self.after(self.middle(*self.before(self.stem(x))))
        return self.head(self.body(x).mean((2, 3)))


def _tokens(x):
    return (x.flatten(2).transpose(1, 2),)


def _grid(x):
    x = x[0] if isinstance(x, tuple) else x
    return x.transpose(1, 2).unflatten(2, (8, 8))


@pytest.mark.parametrize(
    ("middle", "before", "after", "weights", "macs"),
    [
        (
            nn.Conv1d(4, 4, 3, padding=1),
            lambda x: (x.flatten(2),),
            lambda x: x.unflatten(2, (8, 8)),
            48,
            48 * 64,
        ),
        (nn.ConvTranspose2d(4, 4, 2, 2), lambda x: (x,), lambda x: x, 64, 64 * 64),
        (
            nn.Conv3d(1, 1, 3, padding=1),
            lambda x: (x.unsqueeze(1),),
            lambda x: x.squeeze(1),
            27,
            27 * 256,
        ),
        (nn.LSTM(4, 4, batch_first=True), _tokens, _grid, 128, 128 * 64),
        (nn.GRU(4, 2, 1, True, True, 0, True), _tokens, _grid, 72, 72 * 64),
        (
            nn.MultiheadAttention(4, 2, batch_first=True),
            lambda x: _tokens(x) * 3,
            _grid,
            64,
            64 * 64,
        ),
        (nn.Bilinear(4, 4, 4), lambda x: _tokens(x) * 2, _grid, 64, 64 * 64),
    ],
)
def test_layers_of_other_kinds_stay_float_and_are_counted_and_named_once(
    middle, before, after, weights, macs
):
    with pytest.warns(UserWarning, match=type(middle).__name__) as found:
        model = quantize(Middle(middle, before, after), double_rounding(), example=IMAGE)
    assert len([one for one in found if "full precision" in str(one.message)]) == 1
    assert list(model.layers) == ["body"]
    shape = {one.name: one for one in layer_shapes(model, IMAGE)}["middle"]
    assert (shape.weights, shape.macs, shape.fixed_bits) == (weights, macs, 32)
    if "Conv" in type(middle).__name__:
        with FlopCounterMode(display=False) as counter:
            middle(*before(torch.zeros(1, 4, 8, 8)))
        assert 2 * macs == counter.get_total_flops()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quantize(Middle(middle, before, after), double_rounding(), keep=["middle"], example=IMAGE)


def test_transformer_layers_of_torch_run_their_layers_in_evaluation():
    net = nn.Sequential(
        nn.Linear(4, 4),
        nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
        nn.Linear(4, 2),
    )
    model = quantize(net, double_rounding(), keep=["1.self_attn"], example=(5, 4)).eval()
    assert list(model.layers) == ["1.linear1", "1.linear2"]
    x = images(shape=(5, 4))
    model.calibrate([x])
    with torch.no_grad(), model.at(8):
        wide = model(x)
    with torch.no_grad(), model.at(2):
        assert not torch.equal(wide, model(x))


@pytest.mark.parametrize(
    ("architecture", "arguments", "kept"),
    [
        (
            "beit_base_patch16_224",
            {"img_size": 32, "patch_size": 16, "depth": 2, "embed_dim": 24, "num_heads": 3},
            "blocks.*.attn.qkv",
        ),
        ("tf_efficientnet_lite0", {}, "blocks.1.0.conv_dw"),
    ],
)
def test_networks_of_timm_are_refused_until_layers_are_kept(architecture, arguments, kept):
    def net():
        options = {"architecture": architecture, "arguments": arguments}
        return registry.create("models", "timm", options).build(10, 0)

    with pytest.raises(BitWidthError) as refusal:
        quantize(net(), double_rounding())
    found = re.findall('"(.+?)"', str(refusal.value).partition("keep: ")[2])
    assert kept in found
    model = quantize(net(), double_rounding(), keep=found).eval()
    model.calibrate([images(2, (3, 32, 32))])
    priced = {shape.name for shape in layer_shapes(model, (3, 32, 32))}
    assert {name for name in model.layers} <= priced
    assert all(bits in BITSET for bits in model.bitset)


class Tokens(nn.Module):
    """Reads integers: what sees them first is an embedding, which no method quantizes."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 4)
        self.inner = nn.Linear(4, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, tokens):
        return self.head(self.inner(self.table(tokens.long())).relu().mean(1))


@pytest.mark.filterwarnings("ignore:Layers of these kinds")
def test_inputs_may_be_integers():
    tokens = torch.zeros(3, 6, dtype=torch.int32)
    flow = trace(Tokens(), tokens)
    assert "inner" not in flow.ends.first
    assert flow.ends.last == ("head",)
    model = quantize(Tokens(), double_rounding(), example=tokens)
    assert [one.name for one in layer_shapes(model, tokens) if not one.is_first_last] == ["inner"]
