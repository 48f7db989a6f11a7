import json

import pytest

from bitswitch.costs import CostModel
from bitswitch.errors import RecordError
from bitswitch.results.policies import HeldOut, PolicyFile, costs_record
from bitswitch.tasks.classification import Classification
from tests.searches.exact_problems import cost_model

POLICY = {"a": (8, 8), "b": (4, 2), "c": (2, 2)}


def costs(**options):
    return cost_model([10, 20, 30], **options)


HELD_OUT = HeldOut.of(Classification().headline, {"top1": 51.25})


def policy_file(layers=POLICY, **changes):
    fields = {
        "run": "double-rounding-0",
        "model": "resnet8",
        "dataset": "digits",
        "bitset": (8, 4, 2),
        "search": "greedy",
        "budget": "average-bits-5",
        "costs": costs_record(costs().costs(POLICY), "excluded"),
        "layers": layers,
        **changes,
    }
    return PolicyFile(**fields)


def damaged(tmp_path, **changes):
    path = tmp_path / "policy.json"
    content = {**policy_file().model_dump(mode="json"), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value != "drop"}))
    return path


def test_what_is_written_is_read(tmp_path):
    file = policy_file(objective=0.1 + 0.2, held_out=HELD_OUT)
    path = tmp_path / "policies" / "one.json"
    file.write(path)
    again = PolicyFile.read(path)
    assert again == file
    assert again.policy == POLICY
    assert list(again.policy) == ["a", "b", "c"]
    assert again.objective == 0.1 + 0.2


def test_a_policy_that_was_written_by_hand_has_neither_objective_nor_accuracy(tmp_path):
    file = PolicyFile.read(damaged(tmp_path, objective="drop", held_out="drop"))
    assert file.objective is None
    assert file.held_out is None


def test_files_that_did_not_name_their_metric_are_read(tmp_path):
    assert PolicyFile.read(damaged(tmp_path, held_out_top1=51.25)).held_out is None


def test_costs_are_all_there_with_their_convention():
    model: CostModel = costs()
    record = costs_record(model.costs(POLICY), "excluded")
    assert record.first_last == "excluded"
    assert record.bitops == 10 * 64 + 20 * 8 + 30 * 4
    assert record.size == 10 * 8 + 20 * 4 + 30 * 2 + 3 * 32
    assert record.average_bits == pytest.approx(14 / 3)
    assert record.weighted_average_bits == pytest.approx(220 / 60)
    assert record.activation_bits == pytest.approx((20 * 8 + 30 * 2 + 40 * 2) / 90)
    assert record.latency is None


def test_a_latency_is_kept():
    table = {(name, *pair): 0.5 for name, pair in POLICY.items()}
    record = costs_record(costs(latencies=table).costs(POLICY), "excluded")
    assert record.latency == 1.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": {"a": [8, 5]}}, r"layer 'a' has 5 bits; the bit set is \[8, 4, 2\]"),
        ({"layers": {"a": [8, 32]}}, "layer 'a' has 32 bits"),
        ({"layers": {"a": 8}}, "layers.a"),
        ({"layers": "drop"}, "layers: Field required"),
        ({"version": 2}, "version"),
        ({"polciy": {}}, "polciy"),
        ({"costs": {}}, "costs.first_last"),
    ],
)
def test_damage_is_named(tmp_path, changes, message):
    path = damaged(tmp_path, **changes)
    with pytest.raises(RecordError, match=message) as error:
        PolicyFile.read(path)
    assert str(path) in str(error.value)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(RecordError, match=r"none\.json"):
        PolicyFile.read(tmp_path / "none.json")


@pytest.mark.parametrize(
    "text",
    [
        '{"version": 1, "la',
        "[1, 2]",
        '{"layers": {"a": [8, 8], "a": [2, 2]}}',
        '{"layers": ' * 100_000,
        '{"version": ' + "1" * 5000 + "}",
    ],
    ids=["cut", "list", "twice", "deep", "huge"],
)
def test_what_someone_mistyped_is_named_and_not_to_be_deleted(tmp_path, text):
    path = tmp_path / "policy.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=r"policy\.json") as error:
        PolicyFile.read(path)
    assert "has version 1" in str(error.value)
    assert "delete" not in str(error.value).lower()
