import pytest
import torch

from bitswitch.contracts.data import Batch
from bitswitch.sensitivities.input_error import squared_input_errors
from bitswitch.types import FLOAT_BITS
from tests.nn.small_network import BITSET


def batches():
    draw = torch.Generator().manual_seed(0)
    for count in (3, 2):
        images = torch.randn(count, 3, 6, 6, generator=draw)
        yield Batch(images, torch.zeros(count), torch.arange(count))


@pytest.fixture
def read(model):
    """Return what every layer reads of all images at full precision, by name."""
    kept = {name: [] for name in model.layers}
    hooks = [
        layer.register_forward_pre_hook(lambda _, given, name=name: kept[name].append(given[0]))
        for name, layer in model.layers.items()
    ]
    with torch.no_grad(), model.eval().at(FLOAT_BITS):
        for batch in batches():
            model(batch.inputs)
    for hook in hooks:
        hook.remove()
    return kept


def test_errors_are_those_of_every_number_on_its_own(model, read):
    found = squared_input_errors(model.eval(), BITSET, batches)
    assert list(found.squared) == [(name, bits) for name in model.layers for bits in BITSET]
    for (name, bits), error in found.squared.items():
        scale = float(model.layers[name].activation_quantizer.scales()[f"scale.{bits}"].detach())
        total = 0.0
        least = -(2 ** (bits - 1)) if min(part.min() for part in read[name]) < 0 else 0
        for part in read[name]:
            for value in part.flatten().tolist():
                code = min(max(round(value / scale), least), least + 2**bits - 1)
                total += (code * scale - value) ** 2
        assert error == pytest.approx(total / 5, rel=1e-4)
    sizes = {name: sum(part.numel() for part in parts) / 5 for name, parts in read.items()}
    assert found.elements == sizes


def test_the_network_stays_as_it_is(model):
    model.eval().switch(4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    squared_input_errors(model, (8, 2), batches)
    assert model._policy == 4
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(layer._forward_pre_hooks for layer in model.layers.values())
