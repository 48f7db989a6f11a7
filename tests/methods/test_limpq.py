from collections import Counter

import pytest
import torch
from torch.nn.functional import batch_norm, conv2d, cross_entropy, linear, relu

from bitswitch.methods.limpq import Limpq
from bitswitch.nn.norms.switchable import SwitchableBatchNorm
from bitswitch.quant.granularity import PerTensor
from bitswitch.quant.lsq import ActivationQuantizer, WeightQuantizer
from bitswitch.testing.subject import Subject, batch, run_spec, step_info, take_step
from bitswitch.types import FLOAT_BITS

BITSET = (6, 5, 4, 3, 2)
LAYERS = [f"layer{number}" for number in range(30)]
SGD = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "learning_rate": 0.1}


def method(bitset=BITSET, **options):
    return Limpq(Limpq.Options(**options), bitset)


def recipe(**changes):
    return run_spec("limpq", {}, BITSET, **changes).training


def passes(step=0, bitset=BITSET, training=None, **options):
    return method(bitset, **options).passes(training or recipe(), step_info(step), LAYERS)


def test_a_step_is_every_bit_width_and_then_a_random_policy():
    *uniform, mixed = passes()
    assert [part.bits for part in uniform] == list(BITSET)
    assert all(part.policy is None for part in uniform)
    assert mixed.bits is None
    assert list(mixed.policy) == LAYERS
    assert not any(part.update or part.teacher is not None for part in passes())
    assert all(part.update for part in passes(training=recipe(update="separate")))


def test_weights_and_inputs_share_a_bit_width_that_is_drawn_evenly():
    pairs = Counter(pair for step in range(40) for pair in passes(step)[-1].policy.values())
    assert set(pairs) == {(bits, bits) for bits in BITSET}
    assert all(abs(count * len(BITSET) / 1200 - 1) < 0.3 for count in pairs.values())


def test_the_generator_decides_every_draw():
    assert passes(3) == passes(3)
    assert passes(3) != passes(4)


def test_the_random_pass_can_be_left_out():
    assert [part.bits for part in passes(random_pass=False)] == list(BITSET)
    assert [part.bits for part in passes(bitset=(4,))] == [4]


def test_quantizers_are_those_of_the_public_code():
    weights, inputs = (
        method().weight_quantizer(torch.randn(4, 3, 3, 3)),
        method().activation_quantizer(),
    )
    assert isinstance(weights, WeightQuantizer)
    assert isinstance(inputs, ActivationQuantizer)
    assert (weights.init, weights.symmetric, weights.granularity) == (
        "three-sigma",
        False,
        PerTensor(),
    )
    assert (weights.gradient_count, inputs.gradient_count) == ("tensor", "tensor")
    assert inputs.init == "mean"


@pytest.mark.parametrize("clip", [None, 0.003])
def test_a_training_step_is_that_of_the_publication(clip):
    changes = {**SGD, "label_smoothing": 0.1, "clip_value": clip}
    there = Subject("limpq", run_spec("limpq", {}, BITSET, **changes)).train_state()
    model = there.model
    state = {
        name: value.detach().clone().requires_grad_() for name, value in model.named_parameters()
    }
    mixed = there.method.passes(there.training, step_info(0), there.layers)[-1].policy
    signed = {name: layer.activation_quantizer.signed for name, layer in model.layers.items()}
    for policy in (*(dict.fromkeys(mixed, (bits, bits)) for bits in BITSET), mixed):
        logits = published_network(state, policy, signed)
        cross_entropy(logits, batch().targets, label_smoothing=0.1).backward()
    take_step(there, 0)
    for name, after in model.named_parameters():
        gradient = state[name].grad
        if gradient is not None:
            kept = gradient if clip is None else gradient.clamp(-clip, clip)
            expected = state[name] - 0.1 * kept
            torch.testing.assert_close(after, expected, rtol=2e-5, atol=2e-6, msg=name)
    largest = max(float(p.grad.abs().max()) for p in state.values() if p.grad is not None)
    assert largest > 0.01  # something was clipped


def published_network(state, policy, signed):
    """Return the logits of the network of the checks, quantized as the public code does it."""

    def operands(x, layer):
        weight_bits, bits = policy[layer]
        high = 2 ** (weight_bits - 1) - 1
        weight, step = (
            state[f"net.{layer}.weight"],
            state[f"net.{layer}.weight_quantizer.scale.{weight_bits}"],
        )
        quantized = on_steps(weight, step, -high - 1, high)
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed[layer] else (0, 2**bits - 1)
        step = state[f"net.{layer}.activation_quantizer.scale.{bits}"]
        return on_steps(x, step, low, high), quantized

    def norm(x, name, layer):
        bits = policy[layer][0]
        weight, bias = (state[f"net.{name}.{kind}.{bits}"] for kind in ("weight", "bias"))
        return batch_norm(x, None, None, weight, bias, training=True, eps=1e-5)

    x = conv2d(batch().inputs, state["net.0.weight"], state["net.0.bias"], padding=1)
    x = relu(norm(x, 1, "3"))
    x = relu(norm(conv2d(*operands(x, "3"), padding=1), 4, "3"))
    x = norm(conv2d(*operands(x, "6"), stride=2, padding=1, groups=8), 7, "6")
    x = linear(*operands(relu(x.mean((2, 3))), "11"), state["net.11.bias"])
    return linear(x, state["net.12.weight"], state["net.12.bias"])


def on_steps(x, step, low, high):
    """Quantize by detached differences, as the public code does it."""
    gain = (high * x.numel()) ** -0.5
    step = (step - step * gain).detach() + step * gain
    codes = (x / step).clamp(low, high)
    return ((codes.round() - codes).detach() + codes) * step


def test_batch_norms_of_the_random_pass_are_those_of_the_layer_before():
    model = Subject.of("limpq", {}, BITSET).train_state().model
    model.switch({"3": (4, 4), "6": (2, 2), "11": (6, 6)})
    norms = [module for module in model.modules() if isinstance(module, SwitchableBatchNorm)]
    assert [norm.copy for norm in norms] == [4, 4, 2]


def test_edges_are_float_unless_the_options_say_otherwise():
    layers = (
        Subject.of("limpq", {"first_last_bits": 8}, BITSET).train_state().model.quantized_layers
    )
    assert {name: layer.pinned for name, layer in layers.items() if layer.pinned} == {
        "0": (8, FLOAT_BITS),
        "12": (8, 8),
    }
    assert method().first_last_bits is None


def test_distillation_of_the_recipe_is_refused():
    assert method().skip(run_spec("limpq", {}, BITSET)) is None
    for distillation in ("neighbour", "ps-kd"):
        reason = method().skip(run_spec("limpq", {}, BITSET, distillation=distillation))
        assert "distillation must be 'none'" in reason
