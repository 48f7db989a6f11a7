from itertools import islice

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

from bitswitch.contracts.method import PassContext, StepInfo
from bitswitch.methods.rfquant.coupling import clipped_energy, coupled_error, instability
from bitswitch.methods.rfquant.rfquant import AVERAGING, RFQuant
from bitswitch.nn.norms.pairs import BatchNormGrid, pair
from bitswitch.quant.quantizer import Width
from bitswitch.runtime.randomness import generator
from bitswitch.testing.subject import CLASSES, Subject, batch, batches, run_spec, take_step

BITSET = (8, 4, 2)
STEPS = 300


def train_state(**options):
    return Subject.of("rfquant", options, BITSET).train_state()


def step_info(step, steps=STEPS):
    return StepInfo(step * 4 // steps, 4, step, steps, generator("test", step))


def begin(there, part):
    """Switch as a training step does, and return the logits."""
    there.model.switch(part.bits if part.policy is None else part.policy)
    part.setup(there.model)
    return there.model(batch().inputs)


def context(there, part, logits, earlier, step):
    return PassContext(
        part, logits, batch().targets, batch(), earlier, there.model, step_info(step)
    )


def run_step(there, step, steps=STEPS):
    """Let all losses of one training step be computed, without an update."""
    passes = there.method.passes(there.training, step_info(step, steps), there.layers)
    earlier = []
    for part in passes:
        logits = begin(there, part)
        one = PassContext(
            part, logits, batch().targets, batch(), earlier, there.model, step_info(step, steps)
        )
        there.method.loss(one)
        for wish in one.requests:
            wish.receive(wish.values.tolist())
        earlier.append(logits.detach())
    return passes


def test_a_step_is_the_widest_pass_and_three_random_ones_that_learn_from_it():
    there = train_state()
    widest, *mixed = there.method.passes(there.training, step_info(0), there.layers)
    assert (widest.bits, widest.policy, widest.teacher) == (8, None, None)
    assert [(part.bits, part.teacher, part.distill_weight) for part in mixed] == [
        (None, 0, 0.5)
    ] * 3
    assert all(list(part.policy) == there.layers for part in mixed)


def test_weights_and_activations_are_drawn_evenly_and_independently():
    there = train_state()
    drawn = [
        bits
        for step in range(300)
        for part in there.method.passes(there.training, step_info(step), there.layers)[1:]
        for bits in part.policy.values()
    ]
    for layer in [(w, a) for w in BITSET for a in BITSET]:
        assert drawn.count(layer) / len(drawn) == pytest.approx(1 / 9, abs=0.03)


def test_the_loss_of_a_mixed_pass_has_four_parts():
    there = train_state()
    model, step = there.model, 200
    decay = there.training.weight_decay
    widest, part, *_ = there.method.passes(there.training, step_info(step), there.layers)
    norms = {name: m for name, m in model.net.named_modules() if isinstance(m, BatchNormGrid)}
    outputs = {}
    for name, norm in norms.items():
        norm.register_forward_hook(
            lambda module, inputs, output, name=name: outputs.update({name: output})
        )
    teacher = begin(there, widest)
    there.method.loss(context(there, widest, teacher, [], step))
    teacher, kept = teacher.detach(), dict(outputs)
    logits = begin(there, part)
    loss = there.method.loss(context(there, part, logits, [teacher], step))

    targets = batch().targets
    entropy = -(softmax(teacher, 1) * log_softmax(teacher, 1)).sum(1).mean()
    kl = kl_div(log_softmax(logits, 1), softmax(teacher, 1), reduction="batchmean")
    expected = (cross_entropy(logits, targets) + kl + entropy) / 2
    narrow = {layer for layer, (weight, _) in part.policy.items() if weight == 2}
    behind = {"4": "3", "7": "6"}  # batch norm: layer
    assert narrow & set(behind.values())
    for norm, layer in behind.items():
        if layer in narrow:
            expected = expected + 0.01 * (outputs[norm] - kept[norm]).square().mean()
    eta = 0.1 * (1 - torch.cos(torch.tensor(torch.pi * (200 / 300 - 40 / 150) / (110 / 150)))) / 2
    for name, (weight, _) in part.policy.items():
        layer, width = model.layers[name], Width.of(weight, BITSET)
        quantizer = layer.weight_quantizer
        if weight == 2:
            expected = expected - decay * clipped_energy(layer.weight, quantizer, width)
        error = coupled_error(layer.weight, quantizer, width, Width.of(2, BITSET))
        expected = expected + eta * error
    torch.testing.assert_close(loss, expected)


def test_the_loss_of_the_widest_pass_is_that_of_the_labels():
    there = train_state()
    widest = there.method.passes(there.training, step_info(200), there.layers)[0]
    logits = begin(there, widest)
    loss = there.method.loss(context(there, widest, logits, [], 200))
    assert loss == cross_entropy(logits, batch().targets)


def test_remedies_can_be_left_out():
    there = train_state(distortion_weight=0, error_weight=0, cancel_decay=False)
    widest, part, *_ = there.method.passes(there.training, step_info(200), there.layers)
    teacher = begin(there, widest)
    there.method.loss(context(there, widest, teacher, [], 200))
    logits = begin(there, part)
    loss = there.method.loss(context(there, part, logits, [teacher.detach()], 200))
    soft = cross_entropy(logits, softmax(teacher.detach(), 1))
    torch.testing.assert_close(loss, (soft + cross_entropy(logits, batch().targets)) / 2)


def test_unstable_layers_lose_their_narrowest_bit_width_until_the_next_choice():
    there = train_state()
    layers = there.model.layers
    unstable, *others = layers
    for name, layer in layers.items():
        step = layer.weight_quantizer.scale.of(2).data
        sign = torch.sign(layer.weight.data)
        layer.weight.data = sign * step * (0.45 if name == unstable else 0.01)
    widths = [Width.of(bits, BITSET) for bits in BITSET]
    found = [instability(layer.weight, layer.weight_quantizer, widths) for layer in layers.values()]
    assert found[0] == max(found)
    run_step(there, 13)  # of 300: the publication's epoch 6 has begun before
    assert not there.model.memory.dropped.any()
    run_step(there, 14)  # epoch 7
    assert there.model.memory.dropped.tolist() == [True, False, False]
    policies = [part.policy for step in range(15, 30) for part in _mixed(there, step)]
    assert {policy[unstable][0] for policy in policies} == {8, 4}
    assert {policy[unstable][1] for policy in policies} == {8, 4, 2}
    assert {policy[others[0]][0] for policy in policies} == {8, 4, 2}
    layers[unstable].weight.data *= 1e-3
    layers[others[0]].weight.data *= 45
    run_step(there, 18)  # epoch 9
    assert there.model.memory.dropped.tolist() == [False, True, False]


def test_a_drop_that_was_saved_is_known_again():
    first, second = train_state(), train_state()
    first.model.memory.drop([True, False, True])
    second.model.load_state_dict(first.model.state_dict())
    assert second.model.memory.known == [True, False, True]


def _mixed(there, step):
    return there.method.passes(there.training, step_info(step), there.layers)[1:]


def test_bits_are_dropped_alike_in_short_trainings():
    there = train_state()
    run_step(there, 1, steps=4)  # the publication's epochs 1 to 37 begin with it
    assert there.model.memory.dropped.sum() == int(3 * 0.46)


def test_dropping_can_be_left_out():
    there = train_state(drop_bits=False)
    run_step(there, 14)
    assert not there.model.memory.dropped.any()


def test_a_single_bit_width_is_never_dropped():
    there = Subject.of("rfquant", {}, (4,)).train_state()
    there.model.memory.drop([True] * len(there.layers))
    passes = run_step(there, 0)
    assert {bits for part in passes for bits in part.widths()} == {4}


def test_batch_norms_know_which_layer_is_before_them():
    model = train_state().model
    assert [model.net[i].alone for i in (1, 4, 7)] == [True, False, False]
    model.switch({"3": (4, 2), "6": (2, 8), "11": (8, 8)})
    assert [model.net[i].copy for i in (1, 4, 7)] == [8, pair(4, 2), pair(2, 8)]
    model.switch(2)
    assert [model.net[i].copy for i in (1, 4, 7)] == [8, 2, 2]


def test_the_end_takes_the_moving_average_and_measures_batch_norm():
    there = train_state()
    model = there.model
    history = []
    for step in range(3):
        history.append([p.detach().clone() for p in model.parameters()])
        take_step(there, step)
    history.append([p.detach().clone() for p in model.parameters()])
    rate = min(1.0, AVERAGING / 40)  # the steps of checks are those of a run of 40
    assert model.memory.average.rate == rate == 1.0
    model.memory.average.rate.fill_(0.25)
    model.memory.average.start(history[2], 0.25)
    there.method.finish(model, batches)
    for p, before, last in zip(model.parameters(), history[2], history[3], strict=True):
        torch.testing.assert_close(p.data, 0.75 * before + 0.25 * last)
    norm = model.net[4]
    images = torch.cat([one.inputs for one in islice(batches(), 4)])
    with model.at(4):
        counted = norm.num_batches_tracked[norm.copies.index(4)]
        hidden = [model.net[:4].train()(half) for half in images.split(len(batch().inputs))]
    assert counted == len(hidden)
    expected = torch.stack([h.mean((0, 2, 3)) for h in hidden]).mean(0)
    measured = norm.running_mean[norm.copies.index(4)]
    torch.testing.assert_close(measured, expected, rtol=1e-3, atol=1e-4)


def test_the_newest_parameters_count_as_much_as_in_the_published_training():
    there = train_state()
    run_step(there, 0, steps=150 * 2502)
    assert there.model.memory.average.rate.item() == pytest.approx(1 - 0.9997)


def test_the_average_can_be_left_out():
    there = train_state(average=False)
    for step in range(3):
        take_step(there, step)
    there.model.memory.average.start([p * 0 for p in there.model.parameters()], 0.5)
    before = [p.detach().clone() for p in there.model.parameters()]
    there.method.finish(there.model, batches)
    assert all(torch.equal(p, b) for p, b in zip(there.model.parameters(), before, strict=True))


def test_it_refuses_another_distillation():
    method = RFQuant(RFQuant.Options(), BITSET)
    assert method.skip(run_spec("rfquant", {}, BITSET)) is None
    reason = method.skip(run_spec("rfquant", {}, BITSET, distillation="ps-kd"))
    assert "distillation must be none" in reason


def test_edges_are_those_of_the_options():
    assert RFQuant(RFQuant.Options(), BITSET).first_last_bits is None
    options = RFQuant.Options(**RFQuant.published_recipes["imagenet"].options)
    model = Subject.of("rfquant", options.model_dump(), BITSET).train_state().model
    assert {
        name: layer.pinned for name, layer in model.quantized_layers.items() if layer.pinned
    } == {
        "0": (8, 32),
        "12": (8, 8),
    }
    assert isinstance(model.net[12], nn.Linear)
    assert model(batch().inputs).shape[1] == CLASSES
