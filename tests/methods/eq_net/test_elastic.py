import pytest
import torch

from bitswitch.methods.eq_net.elastic_quantizers import ElasticWeightQuantizer
from bitswitch.quant import per_bit
from bitswitch.quant.quantizer import Width

BITSET = (8, 4, 2)
DRAW = torch.Generator().manual_seed(0)
WEIGHT = torch.randn(6, 4, 3, 3, generator=DRAW) * torch.linspace(0.1, 2, 6).reshape(-1, 1, 1, 1)
VARIANTS = [(symmetric, channel) for symmetric in (True, False) for channel in (True, False)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_the_chosen_tables_are_trained(variant):
    quantize = ElasticWeightQuantizer(WEIGHT, BITSET)
    quantize.choose(*variant)
    quantize(WEIGHT, Width.of(4, BITSET)).sum().backward()
    trained = {name for name, p in quantize.named_parameters() if p.grad is not None}
    name = f"{'symmetric' if variant[0] else 'asymmetric'}_{'channel' if variant[1] else 'layer'}"
    expected = {f"scale_{name}.4"} | (set() if variant[0] else {f"offset_{name}.4"})
    assert trained == expected


@pytest.mark.parametrize("deployed", VARIANTS)
def test_a_switch_goes_back_to_the_deployed_variant(deployed):
    quantize = ElasticWeightQuantizer(WEIGHT, BITSET, deployed)
    width = Width.of(4, BITSET)
    before = quantize(WEIGHT, width)
    for variant in VARIANTS:
        quantize.choose(*variant)
        assert torch.equal(quantize(WEIGHT, width), before) == (variant == deployed)
        per_bit.switch(quantize, 4)
        assert torch.equal(quantize(WEIGHT, width), before)


def test_the_deployed_scale_stands_for_the_operand():
    for deployed in VARIANTS:
        scales = ElasticWeightQuantizer(WEIGHT, BITSET, deployed).scales()
        per_channel = list(scales.values())[-1].numel() == len(WEIGHT)
        symmetric = "_symmetric" in list(scales)[-1]
        assert (symmetric, per_channel) == deployed
