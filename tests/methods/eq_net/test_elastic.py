import pytest
import torch

from bitswitch.methods.eq_net.elastic import Variant
from bitswitch.methods.eq_net.elastic_quantizers import ElasticWeightQuantizer
from bitswitch.quant import per_bit
from bitswitch.quant.granularity import PER_TENSOR, PerChannel
from bitswitch.quant.quantizer import Width

BITSET = (8, 4, 2)
DRAW = torch.Generator().manual_seed(0)
WEIGHT = torch.randn(6, 4, 3, 3, generator=DRAW) * torch.linspace(0.1, 2, 6).reshape(-1, 1, 1, 1)
VARIANTS = [
    Variant(symmetric, granularity)
    for symmetric in (True, False)
    for granularity in (PerChannel(), PER_TENSOR)
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_the_chosen_tables_are_trained(variant):
    quantize = ElasticWeightQuantizer(WEIGHT, BITSET)
    quantize.choose(variant)
    quantize(WEIGHT, Width.of(4, BITSET)).sum().backward()
    trained = {name for name, p in quantize.named_parameters() if p.grad is not None}
    sharing = "layer" if variant.granularity == PER_TENSOR else "channel"
    name = f"{'symmetric' if variant.symmetric else 'asymmetric'}_{sharing}"
    expected = {f"scale_{name}.4"} | (set() if variant.symmetric else {f"zero_point_{name}.4"})
    assert trained == expected


@pytest.mark.parametrize("deployed", VARIANTS)
def test_a_switch_goes_back_to_the_deployed_variant(deployed):
    quantize = ElasticWeightQuantizer(WEIGHT, BITSET, deployed)
    width = Width.of(4, BITSET)
    before = quantize(WEIGHT, width)
    for variant in VARIANTS:
        quantize.choose(variant)
        assert torch.equal(quantize(WEIGHT, width), before) == (variant == deployed)
        per_bit.switch(quantize, 4)
        assert torch.equal(quantize(WEIGHT, width), before)


def test_the_deployed_scale_stands_for_the_operand():
    for deployed in VARIANTS:
        scales = ElasticWeightQuantizer(WEIGHT, BITSET, deployed).scales()
        one = list(scales.values())[-1].numel() == 1
        symmetric = "_symmetric" in list(scales)[-1]
        assert (symmetric, PER_TENSOR if one else PerChannel()) == deployed


def test_state_dicts_that_say_offset_are_read():
    learned, loaded = (ElasticWeightQuantizer(w, BITSET) for w in (WEIGHT, 2 * WEIGHT))
    state = learned.state_dict()
    loaded.load_state_dict({n.replace("zero_point_", "offset_"): v for n, v in state.items()})
    assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())
