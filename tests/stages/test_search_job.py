"""A search from its first file to its last."""

import json
from math import inf, nan

import pytest
import torch

from bitswitch.contracts.metric import LOSS, Found
from bitswitch.contracts.search import Candidate, Evaluation
from bitswitch.costs import CostModel
from bitswitch.errors import Diverged, PluginError, RecordError, SpecError
from bitswitch.results import provenance
from bitswitch.results.policies import PolicyFile
from bitswitch.spec.search import Budget
from bitswitch.stages import evaluator, retraining, search_job
from bitswitch.stages.policy_evaluation import batches_of, evaluate_policy, recalibration_inputs
from bitswitch.stages.search_job import cost_model, limit_of
from bitswitch.tasks.classification import Classification
from bitswitch.training.clock import Instant
from tests.searches.exact_problems import shape

LAYERS = 8
"""Switchable layers of ResNet-8."""
QUICK = {"layers": 1, "width": 8, "steps": 1, "epochs": 1}
TWO = (
    {"cost": "average-bits", "at_most": 4},
    {"cost": "bitops", "share": 0.1},
)


def test_it_leaves_a_policy_for_every_budget_and_what_it_took(search, trained, spec_of):
    found = search(budgets=TWO)
    assert {path.name for path in found.folder.iterdir()} == {
        "spec.yaml",
        "policies",
        "metrics.jsonl",
        "correct.jsonl",
        "provenance.json",
        "result.json",
        "evaluations-average-bits-4.jsonl",
        "evaluations-bitops-share-0.1.jsonl",
    }
    result = found.result
    assert (result["status"], result["identifier"]) == ("complete", found.folder.name)
    costs = cost_model(trained, spec_of())
    for budget, bits in (("average-bits-4", 4), ("bitops-share-0.1", 2)):
        file = PolicyFile.read(found.folder / "policies" / f"{budget}.json")
        record = result["budgets"][budget]
        assert file.policy == dict.fromkeys(trained.model.layers, (bits, bits))
        assert (file.search, file.budget, file.model) == ("uniform", budget, "resnet8")
        assert file.costs.average_bits == bits
        assert file.costs.bitops == costs.total("bitops", file.policy)
        assert record["cost"] <= record["limit"]
        assert record["evaluations"] == record["retraining_epochs"] == 0
        assert record["uniform_bits"] == bits
    assert result["budgets"]["average-bits-4"]["cost"] == 4


def test_metrics_are_those_of_the_policy(search, trained):
    found = search()
    for split in ("held_out", "test"):
        expected = evaluate_policy(
            trained.model, Classification(), 4, batches_of(trained.dataset, split, None)
        )
        values = {
            line["metric"]: line["value"]
            for line in found.lines("metrics.jsonl")
            if line["split"] == split and not line["metric"].endswith("_uniform")
        }
        assert values == expected.values
    file = PolicyFile.read(found.folder / "policies" / "average-bits-4.json")
    assert file.held_out.value in [
        line["value"] for line in found.lines("metrics.jsonl") if line["split"] == "held_out"
    ]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("random", {}),
        ("greedy", {"measure": "headline"}),
        ("genetic", {"population": 4}),
        (
            "genetic",
            {"fitness": "predictor", "generations": 2, "predictor": {"steps": 2, "epochs": 1}},
        ),
    ],
)
def test_evaluations_are_counted_and_recorded(search, name, options):
    found = search({"name": name, "options": options}, evaluations=9, recalibration=1)
    lines = found.lines("evaluations-average-bits-4.jsonl")
    record = found.result["budgets"]["average-bits-4"]
    assert 0 < len(lines) == record["evaluations"] <= 9
    assert all(len(line["layers"]) == LAYERS for line in lines)
    assert record["cost"] <= 4
    assert record["search_time_s"] > 0


def walk(problem, until, other=2):
    """Evaluate policies one layer apart; return the numbers of all."""
    found = []
    for place, layer in enumerate(problem.layers[:until]):
        policy = dict.fromkeys(problem.layers, 4) | {layer: other if place == 1 else 2}
        found.append(problem.evaluate(policy))
    return found


def test_metrics_that_are_no_numbers_are_recorded_and_taken_up(search, instead, monkeypatch):
    computed, seen = [], []
    lost = Evaluation.of(Found({"top1": nan, LOSS: nan}, 10), Classification().headline)
    monkeypatch.setattr(evaluator, "evaluate_policy", lambda *given: computed.append(1) or lost)

    def interrupted(problem):
        seen.extend(walk(problem, 2))
        raise KeyboardInterrupt

    instead(interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            search(evaluations=2, seed=4)
    assert len(computed) == 2
    assert {one.rank_key for one in seen} == {(-inf, -inf)}


@pytest.mark.parametrize(("other", "again"), [(2, 2), (8, 3)])
def test_an_interrupted_search_computes_no_evaluation_twice(
    search, instead, monkeypatch, other, again
):
    def interrupted(problem):
        walk(problem, 2)
        raise KeyboardInterrupt

    instead(interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(evaluations=8, seed=3)
    computed, seen = [], []
    evaluate = evaluator.evaluate_policy
    monkeypatch.setattr(
        evaluator, "evaluate_policy", lambda *given: computed.append(given) or evaluate(*given)
    )

    def whole(problem):
        seen.extend(walk(problem, 4, other))
        counted.append(len(computed))
        return [Candidate(dict.fromkeys(problem.layers, 2))]

    counted = []
    instead(whole)
    found = search(evaluations=8, seed=3)
    assert counted == [again]  # four asked for; the file knew two, or one that still fits
    lines = found.lines("evaluations-average-bits-4.jsonl")
    values = [{key: line[key] for key in ("top1", "loss")} for line in lines]
    assert values == [one.values for one in seen]
    assert len(seen) == 4


def interrupted_evaluations(search, instead, execution, seed):
    """Return the file of three evaluations of a search that was stopped."""

    def interrupted(problem):
        walk(problem, 3)
        raise KeyboardInterrupt

    instead(interrupted)
    before = set(execution.searches.glob("*")) if execution.searches.exists() else set()
    with pytest.raises(KeyboardInterrupt):
        search(evaluations=8, seed=seed)
    (folder,) = set(execution.searches.glob("*")) - before
    instead(lambda problem: walk(problem, 3) and [Candidate(dict.fromkeys(problem.layers, 2))])
    return folder / "evaluations-average-bits-4.jsonl"


def test_evaluations_that_were_lost_doubled_or_changed_are_refused(search, instead, execution):
    path = interrupted_evaluations(search, instead, execution, seed=6)
    first, second, third = whole = path.read_bytes().splitlines(keepends=True)
    number = first.index(b'"top1": ') + len(b'"top1": ')
    changed = first[:number] + b"1" + first[number:]
    for lines in (
        [changed, second, third],
        [first, first, second, third],
        [second, third],
        [first, third],
        [first, third, second],
        [first, second.replace(b"\n", b"\r\n").replace(b"}", b" }"), b"[[[[\n"],
        [b"[" * 100_000 + b"\n"],
        [b'{"top1": ' + b"1" * 5000 + b"}\n"],
    ):
        path.write_bytes(b"".join(lines))
        with pytest.raises(RecordError, match=rf"{path.name}, line \d: ") as error:
            search(evaluations=8, seed=6)
        assert "run again" in str(error.value)
    path.write_bytes(b"".join(whole))
    assert search(evaluations=8, seed=6).result["status"] == "complete"


def test_a_torn_last_evaluation_is_made_again(search, instead, execution):
    path = interrupted_evaluations(search, instead, execution, seed=7)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    before = whole.splitlines()
    found = search(evaluations=8, seed=7)
    after = (found.folder / path.name).read_bytes().splitlines()
    assert after[:2] == before[:2]
    again, once = json.loads(after[2]), json.loads(before[2])
    assert {key: again[key] for key in ("layers", "top1", "loss")} == {
        key: once[key] for key in ("layers", "top1", "loss")
    }


def test_an_interrupted_search_counts_the_time_of_every_evaluation_once(
    search, instead, monkeypatch
):
    spent = 0.0
    evaluate = evaluator.evaluate_policy

    def now():
        return Instant(spent, spent)

    def slow(*given):
        nonlocal spent
        spent += 10
        return evaluate(*given)

    def interrupted(problem):
        nonlocal spent
        walk(problem, 2)
        spent += 3  # lost: it is spent again
        raise KeyboardInterrupt

    def whole(problem):
        nonlocal spent
        walk(problem, 4)
        spent += 5
        return [Candidate(dict.fromkeys(problem.layers, 2))]

    monkeypatch.setattr(Instant, "now", now)
    monkeypatch.setattr(evaluator, "evaluate_policy", slow)
    instead(interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(evaluations=8, seed=5)
    instead(whole)
    record = search(evaluations=8, seed=5).result["budgets"]["average-bits-4"]
    assert record["evaluations"] == 4
    assert record["search_time_s"] == 4 * 10 + 5
    assert record["retraining_time_s"] == 0


def test_retraining_and_searching_are_told_apart_from_tests(search, monkeypatch):
    spent = 0.0
    evaluate, train = evaluator.evaluate_policy, retraining.queue_step

    def slow(*given):
        nonlocal spent
        spent += 10
        return evaluate(*given)

    def step(*given):
        nonlocal spent
        spent += 1
        return train(*given)

    monkeypatch.setattr(Instant, "now", lambda: Instant(spent, spent))
    monkeypatch.setattr(evaluator, "evaluate_policy", slow)
    monkeypatch.setattr(retraining, "queue_step", step)
    training = {
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 5e-4,
        "weight_decay": 5e-5,
    }  # three steps an epoch
    found = search("random", evaluations=3, retraining=training)
    record = found.result["budgets"]["average-bits-4"]
    assert (record["search_time_s"], record["retraining_time_s"]) == (30, 6)


def test_evaluations_of_other_code_are_not_taken_up(search, instead, monkeypatch):
    def interrupted(problem):
        walk(problem, 2)
        raise KeyboardInterrupt

    instead(interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(evaluations=8, seed=4)
    monkeypatch.setattr(provenance, "code_hash", lambda parts=(): "other")
    counts = []
    evaluate = evaluator.evaluate_policy
    monkeypatch.setattr(
        evaluator, "evaluate_policy", lambda *given: counts.append(given) or evaluate(*given)
    )

    def whole(problem):
        walk(problem, 2)
        assert len(counts) == 2
        return [Candidate(dict.fromkeys(problem.layers, 2))]

    instead(whole)
    search(evaluations=8, seed=4)


def test_more_evaluations_than_allowed_are_refused_whatever_the_budget(search, instead):
    counts = []

    def greedy_for_more(problem):
        policy = dict.fromkeys(problem.layers, 2)
        counts.append(problem.remaining())
        for _ in range(3):
            problem.evaluate(policy)
        counts.append(problem.remaining())
        with pytest.raises(SpecError, match=r"may evaluate 3 policies.*search\.evaluations"):
            problem.evaluate(policy)
        return [Candidate(policy, 1.5)]

    instead(greedy_for_more)
    found = search(budgets=TWO, evaluations=3)
    assert counts == [3, 0, 3, 0]
    assert found.result["budgets"]["average-bits-4"]["objective"] == 1.5


def test_what_a_search_evaluates_is_held_out_and_no_larger_than_asked_for(search, instead, run):
    seen = []

    def evaluate(problem):
        policy = dict.fromkeys(problem.layers, 4)
        seen.append(problem.evaluate(policy))
        return [Candidate(policy)]

    instead(evaluate)
    found = search(evaluations=1, examples=5)
    assert seen[0].merit in (0, 20, 40, 60, 80, 100)
    line = found.lines("evaluations-average-bits-4.jsonl")[0]
    assert {key: line[key] for key in ("top1", "loss")} == seen[0].values


def test_one_bit_width_within_the_budget_is_tested_like_the_policy_found(
    search, instead, trained, run
):
    instead(lambda problem: [Candidate(dict.fromkeys(problem.layers, 2))])
    budgets = ({"cost": "average-bits", "at_most": 5}, {"cost": "bitops", "share": 0.1})
    found = search(budgets=budgets, recalibration=2, seed=5)
    again = recalibration_inputs(trained.dataset, run, 2)
    images = batches_of(trained.dataset, "test", None)
    lines = found.lines("metrics.jsonl")
    for name, bits in (("average-bits-5", 4), ("bitops-share-0.1", 2)):
        record = found.result["budgets"][name]
        assert record["uniform_bits"] == bits
        assert record["uniform_cost"] <= record["limit"]
        expected = evaluate_policy(trained.model, Classification(), bits, images, again)
        values = {
            line["metric"]: line["value"]
            for line in lines
            if line["policy"] == name and line["metric"].endswith("_uniform")
        }
        assert values == {"top1_uniform": expected.merit, "loss_uniform": expected.loss}


def test_without_one_bit_width_in_the_budget_there_is_none_beside(search, tmp_path, trained):
    table = tmp_path / "latencies.csv"
    rows = []
    for at, layer in enumerate(trained.model.layers):
        fast = 2 if at % 2 else 4  # every second layer is fast at 2 bits alone, the others at 4
        rows += [f"{layer},{bits},{bits},{1 if bits == fast else 9}" for bits in (8, 4, 2)]
    table.write_text("layer,weight_bits,activation_bits,latency_ms\n" + "\n".join(rows))
    budgets = ({"cost": "latency", "at_most": LAYERS},)
    found = search("random", budgets, evaluations=2, latency_table=table)
    assert "uniform_bits" not in found.result["budgets"][f"latency-{LAYERS}"]
    assert not [line for line in found.lines("metrics.jsonl") if "uniform" in line["metric"]]


def test_test_images_are_read_once_after_the_search(search, instead, monkeypatch):
    seen = []
    original = evaluator.batches_of

    def batches_of(dataset, split, images, batch_size):
        seen.append((split, images))
        assert batch_size == 7
        return original(dataset, split, images, batch_size)

    def two(problem):
        return [Candidate(dict.fromkeys(problem.layers, bits)) for bits in (4, 2)]

    monkeypatch.setattr(evaluator, "batches_of", batches_of)
    monkeypatch.setattr(Classification, "batch_size", 7)
    instead(two)
    search(evaluations=2)
    # Of the policy chosen, then of one bit-width for all layers.
    at_the_end = [("held_out", None), ("test", None), ("test", None)]
    assert seen == [("held_out", 10), ("held_out", 10), *at_the_end]


def test_a_search_finds_the_trained_network_as_training_left_it(search, instead, trained):
    states = []

    def note(problem):
        states.append({name: t.clone() for name, t in problem.model.state_dict().items()})
        problem.evaluate(dict.fromkeys(problem.layers, 2))
        assert not problem.model.training
        return [Candidate(dict.fromkeys(problem.layers, 2))]

    instead(note)
    budgets = ({"cost": "average-bits", "at_most": bits} for bits in (4, 3))
    training = {"epochs": 1, "batch_size": 16, "learning_rate": 5e-4, "weight_decay": 5e-5}
    search(budgets=tuple(budgets), evaluations=1, recalibration=2, retraining=training)
    expected = trained.model.state_dict()
    for state in states:
        assert all(torch.equal(value, expected[name]) for name, value in state.items())
    assert len(states) == 2


def test_draws_and_training_batches_depend_on_the_seed(search, instead):
    seen = []

    def draw(problem):
        first = next(iter(problem.train_batches(0))).indices.tolist()
        assert first == next(iter(problem.train_batches(0))).indices.tolist()
        assert first != next(iter(problem.train_batches(1))).indices.tolist()
        seen.append((float(torch.rand((), generator=problem.generator)), first))
        return [Candidate(dict.fromkeys(problem.layers, 2))]

    instead(draw)
    for seed in (0, 0, 1):
        search(seed=seed)
    search(budgets=TWO)
    assert seen[0] == seen[1] == seen[3]
    assert len({value for value, _ in seen}) == 3
    assert seen[0][1] != seen[2][1]


def test_retraining_is_reported_beside_what_was_found(search):
    found = search(
        retraining={"epochs": 2, "batch_size": 16, "learning_rate": 5e-4, "weight_decay": 5e-5}
    )
    metrics = {(line["split"], line["metric"]) for line in found.lines("metrics.jsonl")}
    assert {("test", "top1"), ("test", "top1_retrained"), ("test", "loss_retrained")} < metrics
    record = found.result["budgets"]["average-bits-4"]
    assert record["retraining_epochs"] == 2
    assert record["retraining_time_s"] > 0


def test_a_network_that_diverged_has_no_policy(search, monkeypatch):
    def diverge(*_):
        raise Diverged("its loss is NaN")

    monkeypatch.setattr(search_job, "load_trained", diverge)
    found = search()
    assert (found.result["status"], found.result["diagnosis"]) == ("diverged", "its loss is NaN")
    assert found.lines("metrics.jsonl") == []


def test_a_retraining_that_diverges_is_told(search, monkeypatch):
    def diverge(*_):
        raise Diverged("its loss is NaN")

    monkeypatch.setattr(retraining, "queue_step", diverge)
    assert (
        search(
            retraining={"epochs": 1, "batch_size": 16, "learning_rate": 5e-4, "weight_decay": 5e-5}
        ).result["status"]
        == "diverged"
    )


def test_a_search_that_fails_is_named(search, instead):
    def fail(problem):
        raise ZeroDivisionError("by zero")

    instead(fail)
    with pytest.raises(PluginError, match=r"search\(\) of search 'uniform' fails: ZeroDivision"):
        search()


def test_a_budget_that_no_policy_meets_is_named_and_the_others_go_on(search):
    found = search(budgets=({"cost": "average-bits", "at_most": 1.5}, *TWO))
    assert found.result["status"] == "complete"
    assert found.result["infeasible"] == {
        "average-bits-1.5": "No policy has average-bits of at most 1.5: the nearest budget that "
        "can be met is 2."
    }
    assert list(found.result["budgets"]) == ["average-bits-4", "bitops-share-0.1"]
    assert {line["policy"] for line in found.lines("metrics.jsonl")} == set(found.result["budgets"])


def test_too_few_evaluations_are_named_and_other_budgets_go_on(search):
    easy = {"cost": "average-bits", "at_most": 8}  # the widest policy needs no evaluation
    found = search("greedy", budgets=(*TWO, easy), evaluations=LAYERS)
    assert found.result["status"] == "complete"
    why = (
        f"Search 'greedy' needs at least {LAYERS + 1} evaluations on held-out images here; it may "
        f"make {LAYERS}."
    )
    assert found.result["infeasible"] == dict.fromkeys(("average-bits-4", "bitops-share-0.1"), why)
    assert list(found.result["budgets"]) == ["average-bits-8"]


@pytest.mark.parametrize(
    ("budget", "limit"),
    [
        ({"cost": "bitops", "at_most": 1e3}, 1000),
        ({"cost": "bitops", "of_uniform": 4}, 320 + 160 + 32 * 32 * 3),
        ({"cost": "bitops", "share": 0.25}, (1280 + 640 + 32 * 32 * 3) / 4),
        ({"cost": "average-bits", "of_uniform": 3.5}, (7 + 32) / 3),
    ],
)
def test_limits_are_absolute_or_relative_to_uniform_networks(budget, limit):
    shapes = [shape("stem", 1, 3, first_last_bits=32), shape("a", 5, 20), shape("b", 5, 10)]
    costs = CostModel(shapes, "counted")
    assert limit_of(Budget(**budget), costs, (8, 4)).value == pytest.approx(limit)


def test_budgets_that_differ_have_names_that_differ():
    names = [Budget(cost="bitops", at_most=value).name for value in (12345678, 12345679, 3, 0.1)]
    assert names == ["bitops-12345678", "bitops-12345679", "bitops-3", "bitops-0.1"]
    assert Budget(cost="size", of_uniform=3.5).name == "size-of-w3.5a3.5"
    assert Budget(cost="size", share=0.25).name == "size-share-0.25"


def test_latencies_are_those_of_the_table(search, trained, tmp_path):
    table = tmp_path / "latencies.csv"
    rows = [
        f"{layer},{bits},{bits},{bits / 8}" for layer in trained.model.layers for bits in (8, 4, 2)
    ]
    table.write_text("layer,weight_bits,activation_bits,latency_ms\n" + "\n".join(rows))
    found = search(budgets=({"cost": "latency", "at_most": LAYERS / 2},), latency_table=table)
    file = PolicyFile.read(found.folder / "policies" / f"latency-{LAYERS // 2}.json")
    assert file.costs.latency == pytest.approx(LAYERS / 2)


def test_no_latency_is_made_up_between_two_bit_widths():
    latencies = {("a", bits, bits): float(bits) for bits in (8, 4, 3)}
    costs = CostModel([shape("a")], latencies=latencies)
    assert limit_of(Budget(cost="latency", of_uniform=3), costs, (8, 4)).value == 3
    with pytest.raises(SpecError, match=r"layer 'a' at 3\.5-bit weights"):
        limit_of(Budget(cost="latency", of_uniform=3.5), costs, (8, 4))
