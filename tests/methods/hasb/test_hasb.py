from collections import Counter
from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.contracts.method import StepInfo
from bitswitch.contracts.sensitivity import Score, Scores
from bitswitch.conversion import quantize
from bitswitch.errors import SpecError
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.methods.hasb.double_rounding_unshared import DoubleRoundingUnshared
from bitswitch.methods.hasb.hasb import Hasb
from bitswitch.nn.norms.transitional import transition
from bitswitch.quant.double_rounding import DoubleRoundingQuantizer
from bitswitch.quant.lsq import WeightQuantizer
from bitswitch.quant.quantizer import Width
from bitswitch.spec.run import RunSpec, SensitivitySpec
from bitswitch.spec.training import TrainingSpec
from tests.nn.small_network import float_net

BITSET = (8, 6, 4, 2)
LAYERS = [f"layer{number}" for number in range(40)]
SENSITIVE = LAYERS[:10]
"""The first quarter has four times the trace of the others."""
EPOCHS = 10
SIZES = {"epochs": EPOCHS, "batch_size": 8, "learning_rate": 5e-4}


def scores(layers=LAYERS, sensitive=SENSITIVE):
    rows = [Score(name, "layer", None, 4.0 if name in sensitive else 1.0) for name in layers]
    return Scores(tuple(rows), "hessian-trace")


def method(bitset=BITSET, guided=True, **options):
    made = Hasb(Hasb.Options(**options), bitset)
    if guided:
        made.set_sensitivity(scores())
    return made


def step_info(epoch=EPOCHS - 1, seed=0):
    return StepInfo(epoch, EPOCHS, epoch, EPOCHS, torch.Generator().manual_seed(seed))


def passes(made, epoch=EPOCHS - 1, seed=0, **training):
    return made.passes(TrainingSpec(**SIZES, **training), step_info(epoch, seed), LAYERS)


def widths(part, names=LAYERS):
    """Bit-widths of the named layers in one pass."""
    policy = part.policy or dict.fromkeys(LAYERS, part.bits)
    return [policy[name] for name in names]


def departed(made, epoch, steps=60):
    """Share of the layers that are not at the bit-width of their pass."""
    parts = [part for seed in range(steps) for part in passes(made, epoch, seed)]
    found = [bits != part.bits for part in parts for bits in widths(part)]
    return sum(found) / len(found)


def test_every_bit_width_is_visited_and_counted_from_the_widest():
    parts = passes(method())
    assert tuple(part.bits for part in parts) == BITSET
    assert all(set(part.policy) == set(LAYERS) for part in parts)
    assert all(isinstance(bits, int) for part in parts for bits in widths(part))
    assert all(part.teacher is None for part in parts)


@pytest.mark.parametrize("update", ["conventional", "separate"])
def test_every_pass_updates_if_the_recipe_says_so(update):
    parts = passes(method(), update=update)
    assert {part.update for part in parts} == {update == "separate"}


def test_bit_widths_teach_their_neighbours_as_the_recipe_says():
    parts = passes(method(), distillation="neighbour", distillation_weight=0.4)
    assert [part.teacher for part in parts] == [None, 0, 1, 2]
    assert {part.distill_weight for part in parts} == {0.4}


def test_sensitive_layers_draw_in_proportion_to_the_bit_width_and_others_evenly():
    made = method(sigma=1)
    seen = {True: Counter(), False: Counter()}
    for seed in range(150):
        for part in passes(made, seed=seed):
            for name, bits in zip(LAYERS, widths(part), strict=True):
                seen[name in SENSITIVE][bits] += 1
    for kind, expected in ((True, (0.4, 0.3, 0.2, 0.1)), (False, (0.25,) * 4)):
        total = seen[kind].total()
        shares = [seen[kind][bits] / total for bits in BITSET]
        assert shares == pytest.approx(expected, abs=0.02)


def test_a_layer_draws_with_the_probability_of_its_epoch():
    # Of four even draws one gives the bit-width of the pass again.
    made = method(sampling="uniform", sigma=0.8)
    assert departed(made, 0) == pytest.approx(0.08 * 0.75, abs=0.02)
    assert departed(made, 4) == pytest.approx(0.4 * 0.75, abs=0.02)
    assert departed(made, 9) == pytest.approx(0.8 * 0.75, abs=0.02)


@given(st.floats(0, 1), st.integers(0, EPOCHS - 1))
def test_sigma_rises_linearly_or_compounds_as_printed(sigma, epoch):
    linear, printed = method(sigma=sigma), method(sigma=sigma, sigma_schedule="compounding")
    assert linear._chance(step_info(epoch)) == pytest.approx(sigma * (epoch + 1) / EPOCHS)
    expected = sigma * prod((past + 1) / EPOCHS for past in range(epoch + 1))
    assert printed._chance(step_info(epoch)) == pytest.approx(expected)


def test_nothing_is_drawn_during_warmup():
    made = method(warmup_epochs=3)
    assert all(part.policy is None for part in passes(made, epoch=2))
    assert any(part.policy for part in passes(made, epoch=3))


def test_a_sandwich_has_random_bit_widths_between_the_widest_and_the_narrowest():
    made = method((8, 6, 5, 4, 2), visits="sandwich", random_passes=2)
    found = [tuple(part.bits for part in passes(made, seed=seed)) for seed in range(60)]
    assert {(parts[0], parts[-1]) for parts in found} == {(8, 2)}
    assert {parts[1:-1] for parts in found} == {(6, 5), (6, 4), (5, 4)}
    taught = passes(made, distillation="neighbour")
    assert [part.teacher for part in taught] == [None, 0, 1, 2]
    many = method((8, 4, 2), visits="sandwich", random_passes=9)
    assert [part.bits for part in passes(many)] == [8, 4, 2]
    assert [part.bits for part in passes(method((4,), visits="sandwich"))] == [4]


def test_the_share_of_sensitive_layers_can_be_limited():
    made = method(sensitive_limit=0.1)
    odds = made._probabilities(LAYERS)
    assert [name for name in LAYERS if odds[name][0] == 0.4] == SENSITIVE[:4]
    even = method(sensitive_limit=0)._probabilities(LAYERS)
    assert set(even.values()) == {(0.25,) * 4}


def test_the_mean_of_the_draw_can_be_set():
    for mean in (4, 5.5):
        odds = method(mean_bits=mean)._probabilities(LAYERS)
        means = [sum(p * b for p, b in zip(odds[n], BITSET, strict=True)) for n in LAYERS]
        assert sum(means) / len(means) == pytest.approx(mean)
        assert means[0] > means[-1]
    untouched = method(mean_bits=5.25)._probabilities(LAYERS)
    for mine, published in zip(
        untouched.values(), method()._probabilities(LAYERS).values(), strict=True
    ):
        assert mine == pytest.approx(published)


def test_shortcuts_draw_for_themselves_or_with_their_block():
    layers = [f"{block}.{last}" for block in range(20) for last in ("conv1", "conv2", "shortcut")]

    def pairs(shortcuts):
        made = method(guided=False, sampling="uniform", sigma=1, shortcuts=shortcuts)
        found = made.passes(TrainingSpec(**SIZES), step_info(), layers)
        return {
            (part.policy[f"{b}.conv1"], part.policy[f"{b}.shortcut"])
            for part in found
            for b in range(20)
        }

    assert all(a == b for a, b in pairs("shared"))
    assert any(a != b for a, b in pairs("own"))


def test_the_generator_decides_every_draw():
    assert passes(method(), seed=3) == passes(method(), seed=3)
    assert passes(method(), seed=3) != passes(method(), seed=4)


def test_a_roulette_without_sensitivity_says_what_to_do():
    with pytest.raises(SpecError, match="name a sensitivity in the variant's guide"):
        passes(method(guided=False))
    assert passes(method(guided=False, sampling="uniform"))
    made = method(guided=False)
    made.set_sensitivity(Scores((Score("layer0", "layer", 4, 1.0),), "hawq-v2"))
    with pytest.raises(SpecError, match="'hawq-v2' scores no layer 'layer0' of its own"):
        passes(made)


def run(bitset=BITSET, guided=True, **options):
    fields = {
        "method": {"name": "hasb", "options": options},
        "model": "resnet8",
        "dataset": "digits",
        "bitset": bitset,
        "seed": 0,
        "training": SIZES,
    }
    start = RunSpec.model_validate(fields)
    if not guided:
        return start
    set_sensitivity = SensitivitySpec(
        sensitivity="quantization-error", run=start, bitset=bitset, epoch=0
    )
    return start.model_copy(update={"sensitivity": set_sensitivity})


def test_what_it_cannot_run_is_refused():
    def refusal(spec):
        return Hasb(Hasb.Options(**spec.method.options), spec.bitset).skip(spec)

    assert refusal(run()) is None
    assert "name a sensitivity" in refusal(run(guided=False))
    assert refusal(run(guided=False, sampling="uniform")) is None
    assert "mean of 8 bits" in refusal(run(mean_bits=8))
    assert refusal(run(mean_bits=4)) is None
    assert "sandwich" in refusal(run(visits="sandwich", random_passes=0))
    assert refusal(run((4, 2), visits="sandwich", random_passes=0)) is None


def test_it_has_the_quantizers_of_double_rounding():
    quantizer = method(weight_granularity="per-channel").weight_quantizer(torch.randn(4, 3, 3, 3))
    assert isinstance(quantizer, DoubleRoundingQuantizer)
    assert quantizer.rounding == "double"
    assert quantizer.scale.shape == (4, 1, 1, 1)


def small_model(made):
    model = quantize(float_net(), made)
    made.on_quantized(model, 2)
    return model


def refill(model, draw):
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=draw) + 0.5)


def test_it_starts_from_a_network_trained_at_several_bit_widths():
    start = small_model(DoubleRounding(DoubleRounding.Options(), BITSET))
    draw = torch.Generator().manual_seed(1)
    refill(start, draw)
    made = method()
    model = small_model(made)
    model.load_state_dict(made.convert_state_dict(start.state_dict()))
    images = torch.rand(2, 3, 12, 12, generator=draw)
    for one in (start, model):
        one.eval()
    for bits in BITSET:
        start.switch(bits)
        model.switch(bits)
        assert torch.equal(start(images), model(images))
    mine, theirs = model.net[1], start.net[1]
    for before in BITSET:
        for bits in BITSET:
            row = mine.copies.index(transition(before, bits))
            assert torch.equal(mine.running_var[row], theirs.running_var[BITSET.index(bits)])
            assert torch.equal(mine.bias.of(transition(before, bits)), theirs.bias.of(bits))


def test_it_starts_from_a_network_of_its_own_kind():
    first, made = small_model(method()), method()
    refill(first, torch.Generator().manual_seed(1))
    model = small_model(made)
    model.load_state_dict(made.convert_state_dict(first.state_dict()))
    for name, value in first.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_weights_may_have_a_scale_per_bit_width():
    weight = torch.randn(4, 3, 3, 3)
    weight[0] = -9
    mine = method(weight_scales="unshared", gradient_scale=False).weight_quantizer(weight)
    options = DoubleRoundingUnshared.Options(gradient_scale=False)
    theirs = DoubleRoundingUnshared(options, BITSET).weight_quantizer(weight)
    assert isinstance(mine, WeightQuantizer)
    assert not mine.gradient_scale
    assert mine.state_dict().keys() == theirs.state_dict().keys()
    for bits in BITSET:
        width = Width.of(bits, BITSET)
        assert torch.equal(mine(weight, width), theirs(weight, width))
