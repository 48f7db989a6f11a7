"""Tests of ``bitswitch.report.collect.collect``."""

import json
from pathlib import Path

import pytest

from bitswitch.errors import RecordError
from bitswitch.plugins import facts
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.suite.suite import Suite
from tests.report.conftest import alrs_of, make_shared, make_suite, seal, write_run


def write_all(suite: Suite, results: Path) -> dict[str, Path]:
    return {key: write_run(run, results) for key, run in suite.runs.items()}


def reproduced(frames: Frames):
    return frames.metrics[frames.metrics.source == "reproduced"]


def test_every_cell_has_its_measured_values(suite: Suite, results: Path):
    write_all(suite, results)
    rows = reproduced(collect.collect(suite, results))
    top1 = rows[(rows.metric == "top1") & (rows.split == "test") & (rows.variant != "float")]
    assert len(top1) == sum(len(cell.bitset) for cell in suite.cells)
    assert set(top1.status) == {"complete"}
    assert not top1.value.isna().any()


def test_full_precision_starts_stand_beside_the_cells_they_serve(suite: Suite, results: Path):
    write_all(suite, results)
    rows = reproduced(collect.collect(suite, results))
    floats = rows[(rows.variant == "float") & (rows.metric == "top1") & (rows.split == "test")]
    assert set(floats.bitset) == {"FP"}
    assert floats.groupby("experiment").size().to_dict() == {
        "alrs": 3,
        "readings": 3,
        "separate": 1,
    }


def test_a_missing_run_leaves_a_row_that_says_so(suite: Suite, results: Path):
    rows = reproduced(collect.collect(suite, results))
    assert set(rows.status) == {"missing"}
    assert rows.value.isna().all()
    assert set(rows["where"]) == {"not run to the end"}


def test_a_diverged_run_keeps_its_diagnosis(suite: Suite, results: Path):
    first, *others = suite.runs.values()
    reason = "loss is nan in step 7"
    diverged = next(run for run in others if not run.is_float)
    for run in (first, *others):
        changes = {"status": "diverged", "diagnosis": reason} if run is diverged else {}
        write_run(run, results, **changes)
    rows = reproduced(collect.collect(suite, results))
    rows = rows[(rows.run == diverged.run_id) & (rows.metric == "top1")]
    assert set(rows.status) == {"diverged"}
    assert set(rows["where"]) == {reason}
    assert rows.value.isna().all()


def test_only_bit_widths_at_chance_count_as_collapsed(suite: Suite, results: Path):
    for run in suite.runs.values():
        literal = alrs_of(run) == "literal"
        top1 = {4: 12.9, 2: 9.8} if literal else {}
        write_run(run, results, top1, status="collapsed" if literal else "complete")
    rows = reproduced(collect.collect(suite, results))
    rows = rows[(rows.metric == "top1") & (rows.split == "test") & (rows.status == "collapsed")]
    assert set(rows.variant) == {"literal"}
    assert set(zip(rows.policy, rows.value, strict=True)) == {("4", 12.9), ("2", 9.8)}


def test_a_skipped_cell_keeps_the_reason(results: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(facts, "refusal", lambda spec: "no GPU" if 3 in spec.bitset else None)
    suite = make_suite()
    write_all(suite, results)
    rows = reproduced(collect.collect(suite, results))
    skipped = rows[rows.status == "skipped"]
    assert set(skipped.bitset) == {"{4,3,2}", "{3}"}
    assert set(skipped["where"]) == {"no GPU"}
    assert skipped.run.isna().all()


def test_a_malformed_line_is_named_by_file_and_line(suite: Suite, results: Path):
    path = next(iter(write_all(suite, results).values())) / "metrics.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:20]]))
    seal(path.parent)
    with pytest.raises(RecordError, match=r"metrics\.jsonl, line 2"):
        collect.collect(suite, results)


def test_code_versions_do_not_mix_unless_allowed(suite: Suite, results: Path):
    path = next(iter(write_all(suite, results).values())) / "provenance.json"
    path.write_text(json.dumps({"code_hash": "other"}))
    seal(path.parent)
    with pytest.raises(RecordError, match=r"other: 1 runs(.|\n)*--allow-mixed"):
        collect.collect(suite, results)
    frames = collect.collect(suite, results, allow_mixed=True)
    assert set(frames.runs.code_hash) == {"c0de", "other"}


def test_written_tables_are_read_back_and_are_the_same_bytes(suite: Suite, results: Path):
    write_all(suite, results)
    folder = collect.write(suite, results)
    before = {name: (folder / name).read_bytes() for name in collect.OUTPUTS}
    Frames.read(folder).write(folder)
    assert {name: (folder / name).read_bytes() for name in collect.OUTPUTS} == before
    assert Frames.read(folder).suite == suite


def test_published_rows_stand_beside_reproduced_ones(folder: Path):
    rows = Frames.read(folder).metrics
    cell = rows.query("source == 'published' and experiment == 'table4' and model == 'resnet20'")
    cell = cell.query("variant == 'with-alrs' and bitset == '{8,6,4,2}' and policy == '2'")
    assert cell.value.tolist() == [90.19]
    assert cell["where"].tolist() == ["huang2025nearly, Table 4"]


def test_separate_trainings_stand_under_the_bit_set_of_their_row(results: Path):
    suite = make_shared("table6", "resnet18")
    runs = [run for run in suite.runs.values() if run.method.name == "lsq"]
    write_all(suite, results)
    rows = reproduced(collect.collect(suite, results))
    rows = rows[(rows.variant == "lsq") & (rows.metric == "top1") & (rows.split == "test")]
    assert {len(run.bitset) for run in runs} == {1}
    assert set(rows.bitset) == {"{8,6,4,2}"}
    assert rows.groupby("policy").size().to_dict() == dict.fromkeys("8642", 3)
    assert rows.run.nunique() == len(runs) == 12


def test_a_missing_separate_training_leaves_its_own_bit_width_open(results: Path):
    rows = reproduced(collect.collect(make_shared("table6", "resnet18"), results))
    rows = rows[(rows.variant == "lsq") & (rows.seed == 0)]
    assert sorted(rows.policy) == ["2", "4", "6", "8"]
    assert set(rows.status) == {"missing"}


def test_methods_are_collected_with_their_cards(results: Path):
    methods = collect.collect(make_shared("table6", "resnet18"), results).methods
    assert methods.method.tolist() == ["lsq", "lsq-plus", "double-rounding"]
    assert methods.storage.tolist() == ["floats", "floats", "codes"]
    assert json.loads(methods.published_recipes[0])["cifar10"]["training"]["epochs"] == 200


def test_a_recalibrated_accuracy_at_chance_counts_as_collapsed(results: Path):
    suite = make_suite()
    for run in suite.runs.values():
        literal = alrs_of(run) == "literal"
        folder = write_run(run, results)
        if literal:
            with (folder / "metrics.jsonl").open("a") as file:
                for bits, value in ((8, 60.0), (2, 10.0)):
                    line = {"split": "test", "policy": str(bits), "unit": "percent"}
                    line |= {"metric": "top1_recalibrated", "value": value}
                    file.write(json.dumps(line) + "\n")
            seal(folder)
    rows = reproduced(collect.collect(suite, results))
    rows = rows[rows.metric == "top1_recalibrated"]
    assert set(zip(rows.policy, rows.status, strict=True)) == {
        ("8", "complete"),
        ("2", "collapsed"),
    }
