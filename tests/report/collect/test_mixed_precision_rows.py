"""Tests of rows about mixed precision, and of what ``collect`` says of searches."""

import json
from pathlib import Path

import pytest

from bitswitch.errors import RecordError
from bitswitch.plugins import facts
from bitswitch.report.collect import collect, mixed_precision_rows
from bitswitch.report.collect.frames import Frames
from bitswitch.suite.suite import Suite
from tests.report.conftest import LAYERS, seal, write_run
from tests.report.mixed import make_mixed, write_all, write_scoring, write_search


@pytest.fixture
def suite() -> Suite:
    return make_mixed("search-comparison", "trace-stability")


def searched(frames: Frames):
    return frames.metrics[frames.metrics.search.notna()]


def test_every_policy_has_its_measured_values(suite: Suite, results: Path):
    write_all(suite, results)
    rows = searched(collect.collect(suite, results))
    top1 = rows[(rows.metric == "top1") & (rows.split == "test")]
    cells = [cell for cell in suite.cells if cell.search]
    assert len(top1) == sum(len(cell.search.budgets) for cell in cells if cell.search)
    assert set(top1.policy) == {"average-bits-4", "bitops-of-w6a6"}
    assert set(top1.search_seed) == {0, 1}


def test_a_network_that_is_searched_twice_stands_in_its_row_once(suite: Suite, results: Path):
    write_all(suite, results)
    rows = collect.collect(suite, results).metrics
    rows = rows[(rows.variant == "random") & rows.search.isna() & (rows.seed == 0)]
    rows = rows[(rows.metric == "top1") & (rows.split == "test")]
    assert rows.policy.tolist() == ["8", "6", "4", "2"]


def test_a_missing_search_leaves_a_row_per_budget_that_says_so(suite: Suite, results: Path):
    for run in suite.runs.values():
        write_run(run, results)
    frames = collect.collect(suite, results)
    rows = searched(frames)
    assert set(rows.status) == {"missing"}
    assert set(rows["where"]) == {"not run to the end"}
    assert set(frames.policies.status) == {"missing"}
    assert frames.policies.bitops.isna().all()
    assert frames.policy_layers.empty
    assert set(frames.sensitivities.status) == {"missing"}


def test_images_are_those_that_were_seen(suite: Suite, results: Path):
    seen, unsaid, *_ = suite.sensitivities.values()
    write_scoring(seen, results, images=48)
    write_scoring(unsaid, results)
    images = collect.collect(suite, results).sensitivities.set_index("sensitivity").images
    assert images[seen.identifier] == 48
    assert images[unsaid.identifier] == unsaid.examples


def test_a_search_that_diverged_keeps_its_diagnosis(suite: Suite, results: Path):
    for search in suite.searches.values():
        write_search(search, results, status="diverged", diagnosis="its start diverged")
    rows = searched(collect.collect(suite, results))
    assert set(rows.status) == {"diverged"}
    assert set(rows["where"]) == {"its start diverged"}


def test_skipped_networks_are_not_searched(results: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(facts, "refusal", lambda spec: "no GPU")
    suite = make_mixed("search-comparison")
    frames = collect.collect(suite, results)
    assert set(searched(frames).status) == {"skipped"}
    assert frames.policies.empty
    assert frames.sensitivity_uses.empty


def test_policies_hold_costs_and_effort(suite: Suite, results: Path):
    write_all(suite, results)
    policies = collect.collect(suite, results).policies
    assert (policies.average_bits[policies.budget == "average-bits-4"] <= 4).all()
    assert set(policies.plugin) == {"ilp", "random", "greedy"}
    assert set(policies.status) == {"complete"}
    assert policies.retraining_epochs[policies.plugin == "ilp"].eq(3).all()


def test_layers_of_policies_and_scores_stand_from_the_input(suite: Suite, results: Path):
    write_all(suite, results)
    frames = collect.collect(suite, results)
    for table in (frames.policy_layers, frames.scores):
        first = table.head(4)
        assert first.layer.tolist() == list(LAYERS)
        assert first.position.tolist() == [0, 1, 2, 3]


def test_sensitivities_say_epoch_time_and_facts(suite: Suite, results: Path):
    write_all(suite, results)
    rows = collect.collect(suite, results).sensitivities
    # Epoch 0 of the trained run is the network at full precision, which searches read too.
    assert set(rows.epoch.dropna()) == {0, 1, 2}
    assert rows.epoch.isna().any()
    assert json.loads(rows.facts[0]) == {"probes": 12.0}
    assert set(rows.time_s) == {2.5}


def test_uses_say_who_reads_which_sensitivity(suite: Suite):
    rows = list(mixed_precision_rows.use_rows(suite))
    kinds = {(row["experiment"], row["use"]) for row in rows}
    assert kinds == {
        ("search-comparison", "guide"),
        ("search-comparison", "search"),
        ("trace-stability", "reported"),
    }
    assert len({tuple(row.values()) for row in rows}) == len(rows)


def test_a_damaged_policy_is_named(suite: Suite, results: Path):
    write_all(suite, results)
    path = next((results / "searches").glob("*/policies/*.json"))
    path.write_text("{}")
    seal(path.parents[1])
    with pytest.raises(RecordError, match="holds no policy"):
        collect.collect(suite, results)


@pytest.mark.parametrize("kind", ["sensitivities", "searches"])
def test_code_versions_of_a_kind_do_not_mix(suite: Suite, results: Path, kind: str):
    write_all(suite, results)
    path = next((results / kind).glob("*/provenance.json"))
    path.write_text(json.dumps({"code_hash": "other"}))
    seal(path.parent)
    with pytest.raises(RecordError, match=f"other: 1 .*, e.g. {path.parent.name}"):
        collect.collect(suite, results)
    assert len(collect.collect(suite, results, allow_mixed=True).policies)


def test_tables_come_back_from_their_files(mixed_folder: Path, tmp_path: Path):
    frames = Frames.read(mixed_folder)
    frames.write(tmp_path)
    for name in ("sensitivities", "scores", "sensitivity_uses", "policies", "policy_layers"):
        path = f"{name}.csv"
        assert (tmp_path / path).read_bytes() == (mixed_folder / path).read_bytes()
