import sys
from math import exp, inf, isfinite, log, nan
from statistics import stdev

import pytest
import torch

from bitswitch.contracts.task import LOSS
from bitswitch.results.policies import HeldOut
from bitswitch.stages.metrics import Lines
from bitswitch.tasks.classification import TOP1, Classification
from bitswitch.tasks.language_model import LanguageModel, Protocol

PROTOCOL = Protocol("bytes", "shifted", 6, 6, "byte", "a text")
TASK = LanguageModel(PROTOCOL, unigram=4.0)
PADDED = torch.tensor([[2, 4, 1, 0, 3, -100]])


def drawn(windows, seed=0, length=6):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(windows, length, 5, generator=generator)
    return logits, torch.randint(5, (windows, length), generator=generator)


def likelihoods(logits, targets):
    """Return the losses of all positions that count, by window, one number after another."""
    found = []
    for window, wanted in zip(logits.tolist(), targets.tolist(), strict=True):
        found.append([])
        for row, token in zip(window, wanted, strict=True):
            if token != -100:
                found[-1].append(log(sum(map(exp, row))) - row[token])
    return found


def evaluated(logits, targets, task=TASK, size=4):
    evaluator = task.evaluator()
    for part in torch.arange(len(targets)).split(size):
        evaluator.add(logits[part], targets[part])
    return evaluator


def test_the_metrics_are_those_of_a_scalar_reference():
    logits, targets = drawn(10)
    found = evaluated(logits, targets).result()
    flat = [loss for window in likelihoods(logits, targets) for loss in window]
    mean = sum(flat) / len(flat)
    assert found.examples == 10
    assert found.values[LOSS] == pytest.approx(mean)
    assert found.values["perplexity"] == pytest.approx(exp(mean))
    assert found.values["bits_per_byte"] == pytest.approx(mean / log(2))
    right = (logits.argmax(2) == targets).double().mean()
    assert found.values["next_top1"] == pytest.approx(100 * float(right))
    assert float(TASK.loss(logits, targets)) == pytest.approx(mean, rel=1e-6)
    assert float(TASK.loss_sum(logits, targets)) == pytest.approx(sum(flat), rel=1e-6)


def test_positions_without_a_target_do_not_count():
    logits, _ = drawn(1)
    (losses,) = likelihoods(logits, PADDED)
    found = evaluated(logits, PADDED).result()
    assert len(losses) == 5
    assert found.values[LOSS] == pytest.approx(sum(losses) / 5)
    assert float(TASK.loss(logits, PADDED)) == pytest.approx(sum(losses) / 5, rel=1e-6)
    other = logits.clone()
    other[:, -1] += 100
    assert evaluated(other, PADDED).result() == found


def test_sums_of_parts_merge_to_those_of_the_whole():
    logits, targets = drawn(11)
    targets[3, 2:] = -100
    whole = evaluated(logits, targets, size=11).result()
    merged = evaluated(logits[:7], targets[:7])
    merged.merge(evaluated(logits[7:], targets[7:]))
    merged.merge(TASK.evaluator())
    assert merged.result().examples == 11
    assert merged.result().values == pytest.approx(whole.values, rel=1e-12)
    assert merged.result().sums == pytest.approx(whole.sums, rel=1e-12)


def test_means_are_over_positions_not_over_windows():
    logits, targets = drawn(2)
    targets[1, 1:] = -100
    flat = [loss for window in likelihoods(logits, targets) for loss in window]
    assert evaluated(logits, targets).result().values[LOSS] == pytest.approx(sum(flat) / 7)


def test_the_noise_is_that_of_drawing_other_windows():
    logits, targets = drawn(400, seed=1)
    evaluator = evaluated(logits, targets, size=100)
    means = torch.tensor([sum(window) / 6 for window in likelihoods(logits, targets)])
    draw = torch.Generator().manual_seed(0)
    again = means[torch.randint(400, (2000, 400), generator=draw)].mean(1).exp()
    assert TASK.noise(evaluator.result()) == pytest.approx(1.96 * float(again.std()), rel=0.06)
    alone = evaluated(*drawn(1)).result()
    assert TASK.noise(alone) is None


def test_bits_per_byte_count_the_bytes_that_tokens_stand_for():
    sizes = torch.tensor([1, 2, 3, 4, 0])
    logits, targets = drawn(3)
    targets[0, 0] = -100
    task = LanguageModel(PROTOCOL._replace(unit="token"), 4.0, sizes)
    found = evaluated(logits, targets, task).result()
    size = int(sizes[targets[targets != -100]].sum())
    expected = found.values[LOSS] * 17 / log(2) / size
    assert found.values["bits_per_byte"] == pytest.approx(expected)
    assert task.headline.title == "Perplexity per token"


def test_a_network_as_good_as_letter_frequencies_has_collapsed():
    assert [TASK.is_chance(value, 256, 10) for value in (3.9, 4.0, 300.0)] == [False, True, True]
    assert LanguageModel(PROTOCOL).chance(256) == 256
    assert TASK.headline.sign == -1


def test_a_loss_beyond_all_bounds_is_the_largest_perplexity_that_records_hold():
    logits = torch.zeros(1, 1, 5)
    logits[..., 0] = 1e4
    found = evaluated(logits.repeat(2, 1, 1), torch.tensor([[3], [2]])).result()
    assert found.values["perplexity"] == sys.float_info.max
    assert TASK.is_chance(found.values["perplexity"], 5, 1)
    lines = Lines()
    lines.add(TASK, "test", {2: found})
    assert all(isfinite(one.value) and isfinite(one.noise or 0.0) for one in lines.metrics)
    assert lines.correct == []


@pytest.mark.parametrize("value", [inf, nan])
def test_a_headline_that_is_not_finite_is_chance(value):
    assert TASK.is_chance(value, 5, 1)
    assert Classification().is_chance(value, 5, 1)


def test_differences_are_paired_by_window():
    logits, targets = drawn(12)
    found, other = (evaluated(x, targets).result() for x in (logits, logits * 1.1))
    ours, theirs = (
        [sum(window) / len(window) for window in likelihoods(x, targets)]
        for x in (logits, logits * 1.1)
    )
    assert found.parts == pytest.approx(ours)
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    expected = 1.96 * stdev(differences) / 12**0.5
    assert TASK.paired_noise(found, other) == pytest.approx(expected, rel=1e-4)
    assert TASK.paired_noise(found, other) < TASK.noise(found) / found.values["perplexity"]
    assert TASK.paired_noise(found, evaluated(*drawn(3)).result()) is None
    lines = Lines()
    lines.add_pairs(TASK, "test", {8: found, 2: other})
    assert [(line.policy, line.metric) for line in lines.metrics] == [
        ("2", "perplexity_paired_noise")
    ]


def test_windows_of_parts_of_a_split_are_merged():
    logits, targets = drawn(9)
    first, second = evaluated(logits[:4], targets[:4]), evaluated(logits[4:], targets[4:])
    first.merge(second)
    assert first.result().parts == pytest.approx(evaluated(logits, targets).result().parts)


def test_half_precision_logits_are_judged_in_float32():
    logits, targets = drawn(4)
    half = logits.to(torch.bfloat16)
    assert evaluated(half, targets).result() == evaluated(half.float(), targets).result()
    assert TASK.loss(half, targets).dtype == torch.float32


def test_the_protocol_is_said():
    for word in ("tokenizer bytes", "bos none", "context 6", "stride 6", "unit byte", "a text"):
        assert word in TASK.note


@pytest.mark.parametrize("targets", [None, torch.full((2, 6), -100)])
def test_an_evaluation_of_nothing_is_an_error(targets):
    evaluator = TASK.evaluator()
    if targets is not None:
        evaluator.add(drawn(2)[0], targets)
    with pytest.raises(ValueError, match=r"nothing was evaluated|no position counts"):
        evaluator.result()


def test_a_headline_in_a_policy_file_keeps_its_scale():
    found = HeldOut.of(TASK.headline, {"perplexity": 7.25})
    assert HeldOut.model_validate(found.model_dump()) == found
    assert found.scale == "log"
    assert "scale" not in HeldOut.of(TOP1, {"top1": 93.0}).model_dump()
    assert (str(found), str(HeldOut.of(TOP1, {"top1": 93.0}))) == ("7.250", "93.00 %")
