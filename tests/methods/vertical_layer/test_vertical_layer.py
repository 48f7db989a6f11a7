import pytest
import torch
from torch.nn.functional import cross_entropy

from bitswitch.methods.vertical_layer.min_norm import min_norm_weights
from bitswitch.methods.vertical_layer.vertical_layer import VerticalLayer
from bitswitch.plugins import facts
from bitswitch.quant.quantizer import Width
from bitswitch.testing.subject import Subject, run_spec, step_info
from bitswitch.testing.subject import batch as some_batch
from bitswitch.training.step import train_step

BITSET = (8, 7, 6, 5, 4, 3, 2)


def method(bitset=BITSET, **options):
    return VerticalLayer(VerticalLayer.Options(**options), bitset)


def codes(quantizer, weight, bits):
    return quantizer.encode(weight, Width.of(bits, BITSET)).values


def test_every_code_is_half_of_its_wider_neighbours():
    weight = torch.randn(40, 50, generator=torch.Generator().manual_seed(0))
    quantizer = method().weight_quantizer(weight)
    for bits in BITSET[1:]:
        wide, narrow = codes(quantizer, weight, bits + 1), codes(quantizer, weight, bits)
        halves = (wide / 2).round().clamp(max=2 ** (bits - 1) - 1)  # ties to even
        assert torch.equal(narrow, halves.int())
        dropped = wide - 2 * narrow
        assert {*dropped.unique().tolist()} <= {-1, 0, 1}


def test_dropped_bits_enhance_the_narrowest_codes():
    weight = torch.randn(40, 50, generator=torch.Generator().manual_seed(0))
    quantizer = method(rounding="shift").weight_quantizer(weight)
    built = codes(quantizer, weight, 2)
    for bits in BITSET[-2::-1]:
        bit = codes(quantizer, weight, bits) & 1
        built = 2 * built + bit
        assert torch.equal(built, codes(quantizer, weight, bits))


def gradients(model, batch, bits):
    """Return the gradients of one pass, by name; statistics are put back."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.zero_grad()
    model.switch(bits)
    cross_entropy(model(batch.inputs), batch.targets).backward()
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    model.load_state_dict(state)
    return found


@pytest.mark.parametrize("normalized", [False, True])
def test_a_step_goes_along_the_shortest_mean_of_the_gradients(normalized):
    subject = Subject.of("vertical-layer", {"normalize_gradients": normalized}, (8, 4, 2))
    train_state, batch = subject.train_state(), some_batch()
    model = train_state.model
    by_pass = [gradients(model, batch, bits) for bits in (8, 4, 2)]
    shared = set.intersection(*map(set, by_pass))
    flat = torch.stack([torch.cat([g[n].flatten() for n in sorted(shared)]) for g in by_pass])
    directions = flat / flat.norm(dim=1, keepdim=True) if normalized else flat
    weights = min_norm_weights((directions @ directions.T).double().tolist())
    assert min(weights) < 0.9 * max(weights)
    seen = {}
    train_state.step = lambda rates: seen.update(
        {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    )
    train_step(train_state, batch, 1e-2, step_info())
    for name, gradient in seen.items():
        parts = zip(weights, by_pass, strict=True)
        if name in shared:
            expected = sum(weight * found[name] for weight, found in parts)
        else:
            expected = sum(found[name] for _, found in parts if name in found)
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)
    assert {name for name in seen if name.endswith("weight")} & shared
    assert set(seen) - shared


def test_separate_updates_are_refused():
    spec = run_spec("vertical-layer", {}, (4, 2), update="separate")
    assert facts.refusal(spec) == (
        "it takes one step for all bit-widths: training.update must be 'conventional'"
    )
