from collections import Counter

import pytest
import torch
from torch import nn
from torch.nn.functional import log_softmax, softmax

from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import PassContext, StepInfo
from bitswitch.conversion import quantize
from bitswitch.methods.multiquant.adaptive_labels import AdaptiveLabels
from bitswitch.methods.multiquant.multiquant import MultiQuant
from bitswitch.plugins import facts
from bitswitch.spec.run import RunSpec
from bitswitch.spec.training import TrainingSpec
from bitswitch.testing.subject import TEXTS, run_spec

BITSET = (8, 4, 2)
LAYERS = [f"layer{number}" for number in range(30)]
CLASSES = 5


def method(bitset=BITSET, **options):
    return MultiQuant(MultiQuant.Options(**options), bitset)


def recipe(**changes):
    settings = {"epochs": 4, "batch_size": 8, "learning_rate": 5e-4}
    return TrainingSpec(**settings | changes)


def step_info(step=0, epoch=0):
    return StepInfo(epoch, 4, step, 100, torch.Generator().manual_seed(step))


def passes(step=0, training=None, bitset=BITSET, **options):
    return method(bitset, **options).passes(training or recipe(), step_info(step), LAYERS)


def test_lowest_random_and_highest_share_an_update():
    lowest, mixed, highest = passes()
    assert (lowest.bits, mixed.bits, highest.bits) == (2, None, 8)
    assert lowest.policy is None
    assert highest.policy is None
    assert list(mixed.policy) == LAYERS
    assert not any(part.update or part.teacher is not None for part in passes())
    assert all(part.update for part in passes(training=recipe(update="separate")))


@pytest.mark.parametrize(("operands", "pairs"), [("shared", 3), ("independent", 9)])
def test_random_bit_widths_are_drawn_for_layers_or_operands(operands, pairs):
    seen = Counter(
        pair for step in range(60) for pair in passes(step, operands=operands)[1].policy.values()
    )
    assert len(seen) == pairs
    assert all(abs(count * pairs / 1800 - 1) < 0.3 for count in seen.values())


def test_the_generator_decides_every_draw():
    assert passes(7) == passes(7)
    assert passes(7) != passes(8)


def test_a_single_bit_width_is_trained_once():
    (only,) = passes(bitset=(4,))
    assert only.bits == 4


@pytest.fixture
def model():
    net = nn.Sequential(*[nn.Linear(6, 6) for _ in range(3)], nn.Linear(6, CLASSES))
    model = quantize(net, method())
    method().on_quantized(model, CLASSES)
    return model


def context(model, position, epoch=0, step=0, targets=None):
    draw = torch.Generator().manual_seed(step)
    hard = torch.randint(CLASSES, (12,), generator=draw)
    logits = 2 * torch.randn(12, CLASSES, generator=draw) + nn.functional.one_hot(hard, CLASSES)
    part = method().passes(recipe(), step_info(step), list(model.layers))[position]
    batch = Batch(torch.zeros(12, 6), hard, torch.arange(12))
    given = hard if targets is None else targets
    return PassContext(
        part, logits.requires_grad_(), given, batch, (), model, step_info(step, epoch)
    )


def expected_loss(one, labels, share):
    """Cross-entropy in Python numbers."""
    total = 0.0
    for row, target in zip(one.logits, one.targets.tolist(), strict=True):
        logs = log_softmax(row, dim=0).tolist()
        for label, log in enumerate(logs):
            hard = float(label == target)
            total -= (share * labels[target][label] + (1 - share) * hard) * log
    return total / len(one.targets)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_all_passes_of_an_epoch_learn_the_same_labels(model, share):
    chosen = method(label_weight=share)
    uniform = [[1 / CLASSES] * CLASSES] * CLASSES
    for position in range(3):
        one = context(model, position)
        loss = chosen.loss(one)
        assert loss.item() == pytest.approx(expected_loss(one, uniform, share), rel=1e-5)
    loss.backward()
    assert one.logits.grad.isfinite().all()


def means(lessons):
    """Mean prediction per class over correctly classified images, None where there is none."""
    rows = []
    for label in range(CLASSES):
        kept = [
            softmax(row.detach(), dim=0)
            for one in lessons
            for row, target in zip(one.logits, one.targets.tolist(), strict=True)
            if target == label and row.argmax() == label
        ]
        rows.append(torch.stack(kept).mean(0) if kept else torch.full((CLASSES,), 1 / CLASSES))
    return torch.stack(rows)


@pytest.mark.parametrize(("source", "positions"), [("highest", (2,)), ("every", (0, 1, 2))])
def test_the_next_epoch_learns_what_was_predicted(model, source, positions):
    chosen, counted = method(label_source=source), []
    for step in range(5):
        for position in range(3):
            one = context(model, position, epoch=0, step=3 * step + position)
            chosen.loss(one)
            counted += [one] * (position in positions)
    learned = context(model, 0, epoch=1, step=99)
    loss = chosen.loss(learned)
    expected = means(counted)
    torch.testing.assert_close(model.memory.labels, expected)
    assert loss.item() == pytest.approx(expected_loss(learned, expected.tolist(), 0.5), rel=1e-5)


def test_soft_targets_of_the_recipe_are_kept(model):
    soft = torch.full((12, CLASSES), 1 / CLASSES)
    one = context(model, 0, targets=soft)
    loss = method(label_weight=0.0).loss(one)
    expected = -log_softmax(one.logits, dim=1).mean()
    torch.testing.assert_close(loss, expected)


def test_labels_are_part_of_the_state(model):
    method().loss(context(model, 2))
    state = model.state_dict()
    other = AdaptiveLabels(CLASSES)
    other.load_state_dict(
        {n.removeprefix("memory."): v for n, v in state.items() if n.startswith("memory.")}
    )
    assert torch.equal(other.sums, model.memory.sums)
    assert other.counts.sum() > 0


def test_options_reach_the_quantizers():
    chosen = method(weight_granularity="per-channel", activation_init="range")
    quantizer = chosen.weight_quantizer(torch.randn(4, 3, 3, 3))
    assert [quantizer.scale.of(bits).shape for bits in BITSET] == [(4, 1, 1, 1)] * 3
    assert chosen.activation_quantizer().init == "range"


def test_distillation_of_the_recipe_is_refused():
    run = {
        "method": "multiquant",
        "model": "resnet8",
        "dataset": "digits",
        "bitset": BITSET,
        "seed": 0,
    }
    for distillation, refused in (("none", False), ("neighbour", True), ("ps-kd", True)):
        spec = RunSpec(**run, training=recipe(distillation=distillation))
        assert (method().skip(spec) is not None) == refused


def test_labels_of_a_large_vocabulary_are_refused(monkeypatch):
    spec = run_spec("multiquant", {}, (8, 4), TEXTS)
    assert method().skip(spec) is None
    found = facts.dataset_facts(spec.dataset.name, spec.dataset.options)
    monkeypatch.setattr(facts, "dataset_facts", lambda *_: {**found, "outputs": 32_000})
    assert "a row of 32000 numbers for each of 32000" in method().skip(spec)
