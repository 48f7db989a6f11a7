import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

from bitswitch.contracts.method import Pass, PassContext
from bitswitch.conversion import quantize
from bitswitch.methods.eq_net.elastic import Variant
from bitswitch.methods.eq_net.eq_net import EqNet
from bitswitch.nn.norms.shared import SharedBatchNorm
from bitswitch.quant.granularity import PER_TENSOR, PerChannel
from bitswitch.quant.regularizers import kurtosis_penalty, skewness_penalty
from bitswitch.testing.subject import (
    Subject,
    batch,
    network,
    quantized,
    run_spec,
    step_info,
    take_step,
)

BITSET = (8, 4, 2)


def method(**options):
    return EqNet(EqNet.Options(**options), BITSET)


def training(**changes):
    return run_spec("eq-net", {}, BITSET, **changes).training


def steps(subnets=3, count=30):
    one, layers = method(subnets=subnets), list(quantized(method()).layers)
    return [one.passes(training(), step_info(step, count), layers) for step in range(count)]


def test_largest_random_and_smallest_subnet_teach_each_other():
    for passes in steps(subnets=4):
        assert [part.bits for part in passes] == [8, None, None, 2]
        assert [part.teacher for part in passes] == [None, 0, 1, 2]
        assert all(part.distill_weight == 0.5 for part in passes)
        assert not any(part.update for part in passes)
        assert passes[1].policy != passes[2].policy


def test_random_subnets_draw_every_pair_of_bit_widths():
    pairs = {pair for passes in steps() for pair in passes[1].policy.values()}
    assert pairs == {(weight, activation) for weight in BITSET for activation in BITSET}


def test_every_pass_draws_variants_and_the_next_switch_undoes_them():
    model = quantized(method())
    quantizers = [q for layer in model.layers.values() for q in layer.quantizers.values()]
    deployed = [q.choice.variant for q in quantizers]
    seen = [set() for _ in quantizers]
    for step in range(30):
        for part in method().passes(training(), step_info(step), list(model.layers)):
            model.switch(part.bits if part.policy is None else part.policy)
            part.setup(model)
            for variants, quantizer in zip(seen, quantizers, strict=True):
                variants.add(quantizer.choice.variant)
            model.switch(4)
            assert [q.choice.variant for q in quantizers] == deployed
    weights, activations = seen[::2], seen[1::2]
    assert all(len(variants) == 4 for variants in weights)
    assert all(variants == {Variant(True), Variant(False)} for variants in activations)


def test_equal_moments_draw_equal_variants():
    chosen = []
    for _ in range(2):
        model = quantized(method())
        for part in method().passes(training(), step_info(7), list(model.layers)):
            part.setup(model)
        layers = model.layers.values()
        chosen.append([q.choice.variant for x in layers for q in x.quantizers.values()])
    assert chosen[0] == chosen[1]


def context(model, part, earlier):
    images, targets, _ = batch()
    logits = model(images)
    return PassContext(part, logits, targets, batch(), earlier, model, step_info())


def test_the_first_pass_is_regularized_and_later_ones_learn_from_the_one_before():
    one, model = method(), quantized(method())
    targets = batch().targets
    first = context(model, Pass(8), ())
    weights = [m.weight for m in model.net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weights) == 5
    penalty = 0.015 * kurtosis_penalty(weights[1:]) + skewness_penalty(weights[1:])
    torch.testing.assert_close(
        one.loss(first), cross_entropy(first.logits, targets) + penalty, rtol=1e-6, atol=0
    )
    teacher = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    later = context(model, Pass(2, teacher=0, distill_weight=0.5), (teacher,))
    divergence = kl_div(log_softmax(later.logits, 1), softmax(teacher, 1), reduction="batchmean")
    published = 0.5 * divergence + 0.5 * cross_entropy(later.logits, targets)
    weight = next(iter(model.layers.values())).weight
    found = torch.autograd.grad(one.loss(later), weight, retain_graph=True)
    torch.testing.assert_close(found, torch.autograd.grad(published, weight))


def test_finish_measures_statistics_for_every_bit_width():
    model = Subject.of("eq-net", {"recalibration_batches": 3}).deployed
    norms = [module for module in model.modules() if isinstance(module, SharedBatchNorm)]
    assert norms
    for norm in norms:
        assert norm.measured_batches.tolist() == [3, 3, 3]
    assert not torch.equal(norms[-1].measured_var[0], norms[-1].measured_var[-1])


def test_edges_draw_variants_too():
    model = quantized(method(first_last_bits=8))
    assert len(model.quantized_layers) == len(model.layers) + 2
    first = next(iter(model.quantized_layers.values()))
    assert first.pinned == (8, 32)
    seen = set()
    for step in range(20):
        part = method().passes(training(), step_info(step), list(model.layers))[0]
        model.switch(8)
        part.setup(model)
        seen.add(first.weight_quantizer.choice.variant)
    assert len(seen) == 4


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("granularity", [PER_TENSOR, PerChannel()], ids=str)
def test_options_reach_the_quantizers(symmetric, granularity):
    one = method(symmetric=symmetric, weight_granularity=str(granularity), zero_points="magnitude")
    layer = next(iter(quantize(network(), one).layers.values()))
    assert layer.weight_quantizer.choice.deployed == Variant(symmetric, granularity)
    assert layer.activation_quantizer.choice.deployed == Variant(symmetric)
    assert (
        layer.weight_quantizer.zero_points == layer.activation_quantizer.zero_points == "magnitude"
    )
    assert method(channel_candidates=5).weight_quantizer(layer.weight).channel_candidates == 5
    few = method(candidates=1)
    assert few.weight_quantizer(layer.weight).candidates == 1
    assert few.activation_quantizer().candidates == 1


def test_separate_updates_follow_every_subnet():
    spec = training(update="separate")
    passes = method().passes(spec, step_info(), ["a", "b"])
    assert all(part.update for part in passes)


def test_its_own_distillation_excludes_another():
    assert method().skip(run_spec("eq-net", {}, BITSET)) is None
    assert "distillation" in method().skip(run_spec("eq-net", {}, BITSET, distillation="neighbour"))


def test_the_published_recipe_clips_gradients():
    recipe = EqNet.published_recipes["imagenet"]
    assert recipe.training["clip_value"] == 1.0
    assert recipe.options == {"first_last_bits": 8}


def test_zero_points_are_trained():
    train_state = Subject.of("eq-net").train_state()
    zero_points = {n: p for n, p in train_state.model.named_parameters() if "zero_point_" in n}
    before = {name: value.detach().clone() for name, value in zero_points.items()}
    for step in range(15):
        take_step(train_state, step)
    moved = {name for name, value in zero_points.items() if not torch.equal(value, before[name])}
    assert any("weight_quantizer" in name for name in moved)
    assert any("activation_quantizer" in name for name in moved)
