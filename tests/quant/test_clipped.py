import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bitswitch.errors import EncodingError
from bitswitch.nn.switch import BitSwitch
from bitswitch.quant import per_bit
from bitswitch.quant.clipped import ClippedQuantizer, LearnedClipQuantizer
from bitswitch.quant.quantizer import Width
from bitswitch.quant.tanh import TanhQuantizer

BITSET = (8, 4, 2)


@given(
    x=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=20),
    bits=st.sampled_from(BITSET),
    clip=st.one_of(st.none(), st.floats(0.125, 50, width=32)),
)
def test_training_value_is_the_deployed_value(x, bits, clip):
    x, width = torch.tensor(x), Width.of(bits, BITSET)
    quantize = ClippedQuantizer() if clip is None else LearnedClipQuantizer(BITSET, clip)
    quantize.initialize(x)
    codes = quantize.encode(x, width)
    assert torch.equal(codes.decode(), quantize(x, width))
    low = -(2 ** (bits - 1)) if quantize.signed else 0
    assert low <= codes.values.min() <= codes.values.max() <= low + 2**bits - 1


def test_unsigned_until_a_negative_value_is_seen():
    quantize = ClippedQuantizer()
    quantize.initialize(torch.tensor([-1e-3, 5.0]))
    assert quantize.signed
    quantize.initialize(torch.tensor([0.0, 5.0]))
    assert not quantize.signed


@pytest.mark.parametrize("signed", [False, True])
def test_a_given_signedness_stays(signed):
    quantize = ClippedQuantizer(signed)
    for observed in (torch.ones(2), -torch.ones(2)):
        quantize.initialize(observed)
        assert quantize.signed == signed


def test_state_carries_the_signedness():
    source, target = (LearnedClipQuantizer(BITSET, 3.0) for _ in range(2))
    source.initialize(torch.randn(100))
    source.fill(2.0)
    target.load_state_dict(source.state_dict())
    x, width = torch.randn(50), Width.of(4, BITSET)
    assert torch.equal(source(x, width), target(x, width))


def test_clips_of_bit_widths_are_independent_or_one():
    width = Width.of(4, BITSET)
    own, shared = (LearnedClipQuantizer(BITSET, 0.5, per_bit=p) for p in (True, False))
    assert list(own.scales()) == ["scale.8", "scale.4", "scale.2"]
    assert list(shared.scales()) == ["scale"]
    own(torch.rand(50), width).sum().backward()
    assert [p.grad is not None for p in own.parameters()] == [False, True, False]
    shared(torch.rand(50), width).sum().backward()
    assert shared.scale.grad is not None


def test_clips_start_where_they_are_told():
    observed = torch.linspace(-3, 3, 10_001)
    constant = LearnedClipQuantizer(BITSET, 8.0)
    constant.initialize(observed)
    assert constant.scale.of(4).item() == 8
    both = LearnedClipQuantizer(BITSET, 8.0, init="range")
    both.initialize(observed)
    assert both.scale.of(2).item() == pytest.approx(3, rel=1e-2)
    unsigned = LearnedClipQuantizer(BITSET, 8.0, init="range")
    unsigned.initialize(observed.relu())
    assert unsigned.scale.of(8).item() == pytest.approx(3, rel=1e-2)


@pytest.mark.parametrize("x", [torch.zeros(5), torch.full((5,), float("nan"))])
def test_degenerate_inputs_get_a_positive_finite_clip(x):
    quantize = LearnedClipQuantizer(BITSET, 8.0, init="range")
    quantize.initialize(x)
    assert all(p == 1 for p in quantize.parameters())


def test_half_precision_is_quantized_in_single():
    x, width = torch.rand(100).bfloat16(), Width.of(8, BITSET)
    for quantize in (ClippedQuantizer(), LearnedClipQuantizer(BITSET, 2.0)):
        assert quantize(x, width).dtype == torch.float32
        assert torch.equal(quantize(x, width), quantize.encode(x, width).decode())


def test_nan_has_no_code():
    with pytest.raises(EncodingError):
        ClippedQuantizer().encode(torch.tensor([float("nan")]), Width.of(4, BITSET))


class Layer(nn.Module):
    """A linear layer as a graph sees it: bit-widths are data."""

    def __init__(self, weights, inputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 5, generator=torch.Generator().manual_seed(0)))
        self.weights, self.inputs, self.width_switch = weights, inputs, BitSwitch(BITSET)

    def forward(self, x):
        width = self.width_switch.width
        return self.inputs(x, width) @ self.weights(self.weight, width).T


@pytest.mark.parametrize("signed", [False, True])
def test_one_compiled_graph_serves_every_bit_width(signed):
    layer = Layer(TanhQuantizer("centered", "constant"), LearnedClipQuantizer(BITSET, 1.5, signed))
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=False)
    x = torch.randn(8, 5, generator=torch.Generator().manual_seed(1))
    for position, bits in enumerate(BITSET):
        layer.width_switch.switch(bits)
        per_bit.switch(layer, bits)
        learned = [layer.weight, layer.inputs.scale.of(bits)]
        with torch.compiler.set_stance("fail_on_recompile" if position else "default"):
            result = compiled(x)
        grads = torch.autograd.grad(result.square().sum(), learned)
        eager = layer(x)
        expected = torch.autograd.grad(eager.square().sum(), learned)
        assert torch.equal(result, eager)
        assert all(map(torch.equal, grads, expected))
