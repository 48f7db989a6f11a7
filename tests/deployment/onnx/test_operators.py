"""Operations of networks as ONNX operators: each computes what torch does and is in the docs."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from bitswitch.deployment.onnx.export import graph_of
from bitswitch.deployment.onnx.operators.tables import FUNCTIONS, MODULES, written
from bitswitch.errors import EncodingError
from bitswitch.models.cifar_resnet import ResNet8
from tests.deployment import exported
from tests.deployment.onnx.test_export import as_written, assert_same, exact


class Net(nn.Module):
    """One odd convolution, one odd operation behind it, and parts that have two names."""

    def __init__(self, operation, outputs, **convolution):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.conv = nn.Conv2d(6, 6, **({"kernel_size": 3, "padding": 1} | convolution))
        self.norm = nn.BatchNorm2d(6)
        self.fc = nn.Linear(6, 6)
        self.again, self.same_norm = self.fc, self.norm
        self.head = nn.Linear(6, outputs)
        self.operation = operation

    def forward(self, x):
        x = self.same_norm(self.conv(functional.relu(self.stem(x))))
        x = self.operation(x)
        x = functional.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.head(functional.relu(self.again(functional.relu(self.fc(x)))))


@pytest.fixture
def made(monkeypatch):
    """Return integers of a network with an operation and a convolution of one's own."""

    def make(operation=functional.relu, **convolution):
        def build(model, outputs, seed):
            with torch.random.fork_rng():
                torch.manual_seed(0)
                with torch.device("cpu" if seed is None else torch.get_default_device()):
                    return Net(operation, outputs, **convolution)

        monkeypatch.setattr(ResNet8, "build", build)
        run = exported.run_of(bitset=(4, 2))
        trained = exported.quantized(run)
        return trained, exported.integers(trained, run)

    return make


def check(trained, integers):
    images = exported.images(count=8)
    for bits in integers.bitset:
        found = exact(integers, images, bits)
        with torch.no_grad(), trained.at(bits):
            assert_same(found, trained(images))
        assert_same(as_written(graph_of(integers, bits), images), found)


@pytest.mark.parametrize(
    "convolution",
    [
        {"padding": "same"},
        {"padding": "same", "kernel_size": 4},
        {"padding": "same", "kernel_size": (2, 3), "dilation": (1, 2)},
        {"padding": "valid"},
        {"padding": (1, 0), "kernel_size": (3, 1), "stride": (2, 1)},
        {"padding_mode": "reflect"},
        {"padding_mode": "replicate"},
    ],
    ids=str,
)
def test_convolutions_pad_as_in_torch(made, convolution):
    check(*made(**convolution))


def _sized(x):
    return x.view(x.size(0), -1, x.shape[2], 8).contiguous()


def _in_place(x):
    y = x * 1
    y.relu_()
    z = y - 0.5
    nn.functional.relu(z, inplace=True)
    return y + z


class Masks(nn.Module):
    """Two masks, one of which is read again after both were combined."""

    def __init__(self):
        super().__init__()
        self.register_buffer("lower", torch.ones(8, 8).tril().bool(), persistent=False)
        self.register_buffer("upper", torch.ones(8, 8).triu().bool(), persistent=False)

    def forward(self, x):
        both = self.lower & self.upper
        return torch.where(both, x, 0.5) + torch.where(self.lower, x, 0.25)


def _in_place_on_a_view(x):
    y = x * 1
    y.flatten(2).relu_()
    return y


def _attended(x, **options):
    """Attention over places [n, heads, places, width]; queries, keys and values differ."""
    tokens = x.flatten(2).transpose(1, 2)
    n, places, width = tokens.shape
    heads = torch.cat([tokens, tokens * 2, tokens - 0.5], -1)
    heads = heads.reshape(n, places, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
    query, key, value = heads.unbind(0)
    found = functional.scaled_dot_product_attention(query, key, value, **options)
    return found.transpose(1, 2).reshape(n, places, width).permute(0, 2, 1).unsqueeze(-1)


def _attended_by_hand(x):
    """Causal attention of one head."""
    tokens = x.flatten(2, -1).transpose(-1, -2)
    query, key, value = torch.cat([tokens, tokens + 1, tokens], dim=2).chunk(3, dim=-1)
    scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
    scores = scores.masked_fill(torch.ones(64, 64).tril() == 0, -torch.inf)
    return torch.matmul(scores.softmax(dim=-1), value).transpose(1, 2).unsqueeze(3)


def _rotated(x):
    """Positions as turns, and heads that share their keys."""
    half = x.shape[-1] // 2
    turns = torch.outer(torch.arange(8.0), 10.0 ** -torch.arange(4.0)).repeat(1, 2)
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    x = x * turns.cos() + turned * turns.sin()
    n = x.shape[0]
    return x[:, :, None].expand(n, 6, 2, 8, 8).reshape(n * 6, 2, 8, 8)[:, 1].reshape(n, 6, 8, 8)


def _split(x):
    first, rest = x.split((1, 5), 1)
    left, right = torch.split(rest, 4, dim=-1)
    return torch.cat([first, torch.cat((right, left), 3)], 1)


TABLE = torch.randn(7, 64, generator=torch.Generator().manual_seed(3))


def _looked_up(x):
    """Rows of a table by number, and others by place."""
    rows = functional.embedding(x.mean((2, 3)).clamp(0, 6).long(), TABLE)
    return (rows + functional.embedding(torch.arange(6), TABLE)).reshape(x.size(0), 6, 8, 8)


def _grouped(x):
    """Heads that share their keys, written otherwise."""
    parts = x.unflatten(1, (3, 2)).repeat_interleave(2, 2)
    parts = torch.repeat_interleave(torch.unflatten(parts.flatten(1, 2), 1, (-1, 6)), 2, dim=2)
    first, second = torch.stack([parts[:, 0], parts[:, 1] * 2], 1).unbind(1)
    return (first + second).to(torch.float32).to(x.dtype)[:, ::2]


OPERATIONS = {
    "in place": _in_place,
    "masks": Masks(),
    "attention": _attended,
    "causal attention": lambda x: _attended(x, is_causal=True, scale=0.3),
    "masked attention": lambda x: _attended(x, attn_mask=torch.ones(64, 64).tril().bool()),
    "attention by hand": _attended_by_hand,
    "turns": _rotated,
    "groups": _grouped,
    "tables": _looked_up,
    "layer_norm": lambda x: functional.layer_norm(x, (8, 8), eps=0.1),
    "rms_norm": lambda x: functional.rms_norm(x, (8,), torch.arange(8.0), 0.1),
    "rms_norm by hand": lambda x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-3),
    "places": lambda x: x[:, 0:, 0].unsqueeze(1).squeeze(1)[..., None] + x[:, -1:, :, 1:3],
    "split": _split,
    "where": lambda x: torch.where(torch.eye(8).bool(), x, torch.sqrt(x**2 + 1)),
    "sizes of several images": lambda x: x.reshape(x.shape[0] * 3, 2, 8, 8).view(-1, 6, 8, 8),
    "relu_": functional.relu_,
    "relu_ of a tensor": lambda x: x.relu_(),
    "silu": functional.silu,
    "gelu": functional.gelu,
    "gelu by tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "hardswish": functional.hardswish,
    "hardsigmoid": functional.hardsigmoid,
    "leaky_relu": lambda x: functional.leaky_relu(x, 0.2),
    "sigmoid": torch.sigmoid,
    "tanh": lambda x: x.tanh(),
    "softmax": lambda x: functional.softmax(x, 1),
    "arithmetic": lambda x: (1 - x) * x / 2 + x,
    "cat": lambda x: torch.cat([x[:, :3], x[:, 3:] * 2], 1),
    "sizes": _sized,
    "permute": lambda x: x.permute(0, 1, 3, 2),
    "mean": lambda x: x * x.mean((2, 3), keepdim=True),
    "mean of one": lambda x: x.mean(-1, True),
    "amax": lambda x: x - x.amax(dim=(-1, -2), keepdim=True),
    "max_pool2d": lambda x: functional.max_pool2d(x, 3, 2, 1),
    "avg_pool2d": lambda x: functional.avg_pool2d(x, 3, 2, 1, False, False),
    "dropout": lambda x: functional.dropout(x, 0.5, False),
    "modules": nn.Sequential(
        *(nn.SiLU(), nn.GELU(), nn.Hardswish(), nn.LeakyReLU(0.3), nn.Dropout2d()),
        *(nn.AvgPool2d(3, 2, 1), nn.Sigmoid(), nn.Hardsigmoid(), nn.Tanh(), nn.Softmax(1)),
        *(nn.LayerNorm(4), nn.LayerNorm((4, 4), bias=False), nn.RMSNorm(4, eps=1e-3)),
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_operations_compute_what_they_do_in_torch(made, operation):
    check(*made(operation))


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (lambda x: torch.einsum("nchw->ncwh", x), r"'torch.einsum', which has no translation"),
        (nn.PReLU(), r"'nn.PReLU', which has no translation\.\n.*F\.silu.*nn\.Conv2d.*x\.view"),
        (lambda x: x[(x[:, 0, 0, 0] * 0).long()], "an index of other things"),
        (lambda x: x.flatten(0, 1).view(-1, 6, 8, 8), "all images"),
        (lambda x: torch.cat(x.unbind()).view(-1, 6, 8, 8), "of the images"),
        (lambda x: x + x.size(0), "arithmetic with other things"),
        (lambda x: x * x.mean(), "over all images"),
        (lambda x: functional.dropout(x, 0.5), "training=self.training"),
        (_in_place_on_a_view, r"'mul' is read after an operation in place on another view of it"),
    ],
)
def test_what_has_no_translation_is_named(made, operation, words):
    _, integers = made(operation)
    with pytest.raises(EncodingError, match=words):
        graph_of(integers, 4)


def test_a_convolution_that_wraps_around_is_refused(made):
    _, integers = made(padding_mode="circular")
    with pytest.raises(EncodingError, match="padding_mode='circular'"):
        graph_of(integers, 4)


def test_the_docs_list_every_translation():
    text = Path("docs/explanation/onnx.md").read_text()
    table = text.partition("## What has a translation")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    listed = [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[2])]
    assert sorted(listed) == sorted({written(one) for one in (*FUNCTIONS, *MODULES)})
