import pytest

from bitswitch.sensitivities.weight_error import squared_weight_errors
from tests.nn.small_network import BITSET


def test_errors_are_those_of_every_weight_on_its_own(model):
    found = squared_weight_errors(model, BITSET)
    assert list(found) == [(name, bits) for name in model.layers for bits in BITSET]
    for (name, bits), error in found.items():
        layer = model.layers[name]
        scale, ratio = float(layer.weight_quantizer.scale.detach()), 2 ** (8 - bits)
        total = 0.0
        for weight in layer.weight.detach().flatten().tolist():
            widest = min(max(round(weight / scale), -128), 127)
            half = 2 ** (bits - 1)
            code = min(max(round(widest / ratio), -half), half - 1)
            total += (code * scale * ratio - weight) ** 2
        assert isinstance(error, float)
        assert float(error) == pytest.approx(total, rel=1e-4)


def test_the_policy_stays(model):
    model.switch(4)
    kept = {name: layer.weight_switch.bits for name, layer in model.layers.items()}
    squared_weight_errors(model, (8, 2))
    assert {name: layer.weight_switch.bits for name, layer in model.layers.items()} == kept
