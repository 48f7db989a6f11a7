from collections import Counter

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from bitswitch.contracts.method import StepInfo
from bitswitch.conversion import quantize
from bitswitch.methods.bit_mixer import BitMixer
from bitswitch.nn.norms.transitional import TransitionalBatchNorm, transition
from bitswitch.spec.run import RunSpec
from bitswitch.spec.training import TrainingSpec
from bitswitch.types import FLOAT_BITS

BITSET = (4, 3, 2)
LAYERS = [f"layer{number}" for number in range(40)]
STEPS = 400


def method(bitset=BITSET, **options):
    return BitMixer(BitMixer.Options(**options), bitset)


def recipe(**changes):
    settings = {"epochs": 4, "batch_size": 8, "learning_rate": 5e-4}
    return TrainingSpec(**settings | changes)


def step_info(step, steps=STEPS, seed=0):
    generator = torch.Generator().manual_seed(1000 * seed + step)
    return StepInfo(step * 4 // steps, 4, step, steps, generator)


def drawn(step, training=None, **options):
    return method(**options).passes(training or recipe(), step_info(step), LAYERS)


def test_first_activations_alone_are_quantized_at_one_bit_width():
    seen = Counter()
    for step in range(100):
        (part,) = drawn(step)
        assert part.bits is None
        ((weights, activations),) = set(part.policy.values())
        assert weights == FLOAT_BITS
        seen[activations] += 1
    assert all(count > 15 for count in (seen[bits] for bits in BITSET))


def test_then_the_network_is_quantized_at_one_bit_width():
    parts = [drawn(step) for step in range(100, 200)]
    assert all(len(passes) == 1 and passes[0].policy is None for passes in parts)
    seen = Counter(passes[0].bits for passes in parts)
    assert all(seen[bits] > 15 for bits in BITSET)


def spread(step, seeds=20):
    """Share of layers that are not at the network's commonest bit-width, averaged over seeds."""
    shares = []
    for seed in range(seeds):
        (part,) = method().passes(recipe(), step_info(step, seed=seed), LAYERS)
        widths = dict.fromkeys(LAYERS, part.bits) if part.policy is None else part.policy
        commonest = Counter(widths.values()).most_common(1)[0][1]
        shares.append(1 - commonest / len(LAYERS))
    return sum(shares) / seeds


def test_at_last_layers_leave_the_bit_width_of_the_network_one_by_one():
    assert spread(200) == 0
    # A layer that leaves keeps the width in one of three cases.
    assert spread(250) == pytest.approx(0.25 * 2 / 3, abs=0.05)
    assert spread(300) == pytest.approx(0.5 * 2 / 3, abs=0.05)
    assert spread(399) > 0.5
    (part,) = drawn(399)
    assert part.bits is None
    assert set(part.policy) == set(LAYERS)
    assert all(weight == activation for weight, activation in part.policy.values())
    assert {bits for bits, _ in part.policy.values()} == set(BITSET)


def test_stages_may_be_left_out():
    (only_network,) = drawn(0, activation_share=0, network_share=1)
    assert only_network.bits in BITSET
    (last,) = drawn(399, activation_share=0, network_share=1)
    assert last.bits in BITSET
    (mixed,) = drawn(200, activation_share=0, network_share=0)
    assert len(set(mixed.policy.values())) > 1
    with pytest.raises(ValidationError, match="more than 1 together"):
        method(activation_share=0.6, network_share=0.5)


@pytest.mark.parametrize("step", [0, 150, 350])
def test_the_generator_decides_every_draw(step):
    assert drawn(step) == drawn(step)
    others = [method().passes(recipe(), step_info(step, seed=seed), LAYERS) for seed in range(9)]
    assert len({str(passes) for passes in others}) > 1


@pytest.mark.parametrize("step", [20, 150, 350])
def test_the_widest_network_of_the_same_stage_may_teach(step):
    passes = drawn(step, distillation="widest", distillation_weight=0.3)
    (alone,) = drawn(step)
    if alone.bits == 4:
        assert passes == [alone]
        return
    teacher, student = passes
    assert (student.bits, student.policy) == (alone.bits, alone.policy)
    assert (student.teacher, student.distill_weight) == (0, 0.3)
    assert teacher.teacher is None
    widest = {(FLOAT_BITS, 4)} if step == 20 else {4}
    assert set(teacher.policy.values() if teacher.policy else [teacher.bits]) == widest


def test_no_pass_is_done_twice_to_teach_the_widest():
    found = [drawn(step, distillation="widest") for step in range(100, 200)]
    widest = [passes for passes in found if passes[-1].bits == 4]
    assert 15 < len(widest) < 60
    assert all(len(passes) == 1 for passes in widest)


@pytest.mark.parametrize("step", [0, 150, 350])
def test_every_pass_updates_if_the_recipe_says_so(step):
    passes = drawn(step, recipe(update="separate"), distillation="widest")
    assert all(part.update for part in passes)
    assert not any(part.update for part in drawn(step, distillation="widest"))


def small_model():
    torch.manual_seed(0)
    blocks = [m for _ in range(4) for m in (nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU())]
    net = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(3 * 16, 2))
    model = quantize(net, method())
    model.calibrate([images()])
    return model


def images():
    return torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(2))


def test_batch_norms_are_those_of_the_transition():
    model = small_model()
    model.switch({"3": 3, "6": 4, "9": 2})
    norms = [module for module in model.modules() if isinstance(module, TransitionalBatchNorm)]
    assert [norm.copy for norm in norms[2:]] == [transition(3, 4), transition(4, 2)]
    model(images()).sum().backward()
    for norm in norms:
        used = norm.copies.index(norm.copy)
        counts = [int(position == used) for position in range(9)]
        assert norm.num_batches_tracked.tolist() == counts


def test_float_weights_leave_their_scales_alone():
    model = small_model()
    (part,) = method().passes(recipe(), step_info(0), list(model.layers))
    model.switch(part.policy)
    model(images()).square().sum().backward()
    for layer in model.layers.values():
        assert layer.weight.grad is not None
        assert layer.weight_quantizer.scale.grad is None
        assert layer.activation_quantizer.scale.active.grad is not None


def test_distillation_of_the_recipe_is_refused():
    run = {
        "method": "bit-mixer",
        "model": "resnet8",
        "dataset": "digits",
        "bitset": BITSET,
        "seed": 0,
    }
    for distillation, refused in (("none", False), ("neighbour", True), ("ps-kd", True)):
        spec = RunSpec(**run, training=recipe(distillation=distillation))
        assert (method().skip(spec) is not None) == refused


def test_options_reach_the_quantizers():
    weight = torch.randn(4, 3, 3, 3)
    chosen = method(weight_granularity="per-channel", gradient="printed", activation_init="range")
    quantizer = chosen.weight_quantizer(weight)
    assert quantizer.scale.shape == (4, 1, 1, 1)
    assert (quantizer.rounding, quantizer.gradient) == ("floor", "printed")
    assert chosen.activation_quantizer().init == "range"
