import pytest
import torch
from torch.nn.functional import cross_entropy

from bitswitch.contracts.task import LOSS, Metric, Task, rows_of
from bitswitch.errors import SpecError
from bitswitch.plugins import facts, registry
from bitswitch.tasks.classification import Classification

TASK = Classification()


def drawn(count):
    generator = torch.Generator().manual_seed(count)
    logits = torch.randn(count, 5, generator=generator)
    return logits, torch.randint(5, (count,), generator=generator)


def test_batches_of_an_evaluation_add_up():
    evaluator, (logits, labels) = TASK.evaluator(), drawn(50)
    for part in torch.arange(50).split(16):
        evaluator.add(logits[part], labels[part])
    found = evaluator.result()
    right = sum(int(row.argmax()) == int(label) for row, label in zip(logits, labels, strict=True))
    assert found.examples == 50
    assert found.values["top1"] == 100 * right / 50
    assert list(found.correct["top1"]) == (logits.argmax(1) == labels).int().tolist()
    assert found.values[LOSS] == pytest.approx(cross_entropy(logits, labels).item())
    assert float(TASK.headline_sum(logits, labels)) == 100 * right
    assert TASK.noise(found) == pytest.approx(196 * (right / 50 * (1 - right / 50) / 50) ** 0.5)


def test_the_soft_loss_is_the_cross_entropy_to_a_teacher():
    logits, _ = drawn(8)
    teacher, _ = drawn(9)
    expected = -(teacher[:8].softmax(1) * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(TASK.soft_loss(logits, teacher[:8]), expected)


def test_an_evaluation_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="nothing was evaluated"):
        TASK.evaluator().result()


@pytest.mark.parametrize(("better", "sign"), [("higher", 1), ("lower", -1)])
def test_a_metric_knows_its_direction_and_unit(better, sign):
    metric = Metric("mae", "Mean absolute error", "steps", better, 3)
    assert (metric.sign, metric.text(0.5)) == (sign, "0.500 steps")


def test_facts_of_a_dataset_tell_its_task():
    found = facts.dataset_facts("digits", registry.resolve("datasets", "digits", {}))
    assert found["metrics"][0] == {
        "name": "top1",
        "title": "Top-1",
        "unit": "percent",
        "better": "higher",
        "digits": 2,
        "scale": "linear",
    }
    assert [metric["name"] for metric in found["metrics"]] == ["top1", LOSS]
    assert (found["chance"], found["note"]) == (10.0, Classification.note)
    assert found["chance_bound"] == pytest.approx(12.93, abs=0.01)


def test_what_guesses_is_no_better_than_chance():
    values = {8: 95.0, 4: 13.0, 2: 12.9}
    assert [bits for bits, value in values.items() if TASK.is_chance(value, 10, 1000)] == [2]


def test_where_lower_is_better_chance_is_reached_from_below():
    class Error(Task):
        metrics = (Metric("mae", "Error", "1", "lower", 2),)

        def chance(self, outputs):
            return 2.5

    assert [Error().is_chance(value, 1, 10) for value in (2.4, 2.5, 2.6)] == [False, True, True]
    assert not Unknown().is_chance(0.0, 1, 10)


class Unknown(Task):
    metrics = (Metric("map", "mAP", "1", "higher", 2),)


def test_what_needs_rows_of_logits_says_so():
    assert rows_of(TASK, "x") is TASK
    with pytest.raises(SpecError, match="Gauss-Newton traces needs a task that classifies"):
        rows_of(Unknown(), "Gauss-Newton traces")


def test_the_bound_lets_one_guessing_network_in_a_thousand_pass():
    draw = torch.Generator().manual_seed(0)
    hits = torch.rand(4000, 1000, generator=draw).lt(0.1).sum(1)
    passed = sum(not TASK.is_chance(100 * int(n) / 1000, 10, 1000) for n in hits)
    assert 0 <= passed <= 16
