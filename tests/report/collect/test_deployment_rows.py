"""Tests of rows about deployed networks, and of the tables made of them."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bitswitch.errors import RecordError
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.figures import deployment_figures, figures
from bitswitch.report.render.table import DASH, Table
from bitswitch.report.tables import deployed, storage_table, tables
from tests.report.conftest import make_suite, seal, write_run
from tests.report.deployment_records import (
    COPY,
    EXPERIMENTS,
    FLOAT,
    REST,
    VARIANTS,
    make_deployed,
    write_all,
    write_deployment,
)

NAMES = ("deployment", "second-rounding", "storage")


@pytest.fixture
def frames(results: Path) -> Frames:
    suite = make_deployed()
    write_all(suite, results)
    return collect.collect(suite, results)


def texts(table: Table, section: int = 0) -> dict[str, list[str]]:
    """Return what stands in the lines of one section, by label."""
    return {
        line.label: [entry.text for entry in line.entries] for line in table.sections[section].lines
    }


def test_every_run_width_layer_and_form_has_its_row(frames: Frames):
    runs = frames.suite.deployments
    assert len(runs) == 4
    assert len(frames.deployments) == sum(len(run.bitset) for run in runs.values())
    assert set(frames.deployments.status) == {"complete"}
    assert set(frames.rounding.run) == set(frames.storage.run) == set(runs)
    assert set(deployed.places(frames, "storage").run) == set(runs)


def test_examples_that_integers_had_right_are_kept_beside_those_of_training(frames: Frames):
    for run, spec in frames.suite.deployments.items():
        shares = frames.deployments.set_index(["run", "bits"]).loc[run]
        for bits in spec.bitset:
            trained = frames.correct(run, bits, "top1")
            for ending in ("_integer", "_onnx"):
                right = frames.correct(run, bits, f"top1{ending}")
                assert 100 * right.mean() == pytest.approx(shares.loc[bits, f"headline{ending}"])
                assert right.shape == trained.shape


def test_frames_are_written_and_read(results: Path):
    suite = make_deployed()
    write_all(suite, results)
    folder = collect.write(suite, results)
    before = {name: (folder / name).read_bytes() for name in collect.OUTPUTS}
    Frames.read(folder).write(folder)
    assert {name: (folder / name).read_bytes() for name in collect.OUTPUTS} == before


def test_parity_is_added_up_over_seeds(frames: Frames):
    found = tables.build(frames, "deployment")
    assert [section.title for section in found.sections] == [
        "ResNet-20, {8,6,4,2}",
        "ResNet-20, {4,3,2}",
    ]
    lines = texts(found)
    assert list(lines) == ["w8a8", "w6a6", "w4a4", "w2a2"]
    trained, integers, fast, *counts = lines["w4a4"]
    assert trained == integers == fast
    assert counts == ["6", "6", "10", "1.0e-06", "2.0e-02", "19", "24", "20", "2"]
    assert found.sections[0].lines[0].entries[3].below == "of 2000"


def test_accuracies_stand_under_the_headline_of_the_task(frames: Frames):
    found = tables.build(frames, "deployment")
    assert found.sections[0].groups[0].title == "top-1, %"
    assert "; top-1 is the mean over seeds (n)" in found.notes[0]
    facts = {"metric": "mae", "title": "MAE", "unit": "levels", "better": "lower", "digits": 3}
    guess = {"chance": None, "chance_bound": None}
    other = replace(frames, tasks=frames.tasks.assign(**facts, **guess))
    found = tables.build(other, "deployment")
    assert found.sections[0].groups[0].title == "MAE, levels"
    assert "; MAE is the mean over seeds (n)" in found.notes[0]
    assert len(texts(found)["w4a4"][0].partition(".")[2]) == 3


def test_unexplained_differences_are_marked(results: Path):
    suite = make_deployed()
    write_all(suite, results)
    run = next(iter(suite.deployments.values()))
    for path in (results / "deployments" / run.run_id).iterdir():
        path.unlink()
    (results / "deployments" / run.run_id).rmdir()
    write_deployment(run, results, parity={"unexplained": 2})
    found = tables.build(collect.collect(suite, results), "deployment")
    assert found.footnotes == (("a", "2 images differ for another reason than a tie"),)


def test_what_onnxruntime_does_not_run_has_a_reason(results: Path):
    suite = make_deployed(seeds=[0])
    for run in suite.runs.values():
        write_run(run, results)
    for run in suite.deployments.values():
        reason = {"no_onnx": "no operator 'fold'\n  details", "headline_onnx": None}
        write_deployment(run, results, parity=reason)
    found = tables.build(collect.collect(suite, results), "deployment")
    assert found.footnotes == (("a", "no operator 'fold'"),)
    assert texts(found)["w8a8"][2] == DASH


def test_errors_are_relative_to_squared_weights(frames: Frames):
    lines = texts(tables.build(frames, "second-rounding"))
    assert list(lines) == ["w8", "w6", "w4", "w2"]
    share, worst, cascade, clipping, twice, once, more, _, _ = map(float, lines["w4"])
    assert (cascade, float(lines["w6"][2])) == (12.5, 0)
    assert (share, worst) == (4.15, 4.3)
    assert clipping == pytest.approx(100 * 0.125 / 50)
    assert once == pytest.approx(100 * 4.0**-4 / 50, rel=0.01)
    assert twice == pytest.approx(1.25 * once, rel=0.01)
    assert more == 25
    assert lines["w8"][0] == lines["w8"][6] == "0"


def test_cascades_that_nobody_counted_are_not_none(frames: Frames):
    unknown = frames.rounding.assign(cascade_differing=None)
    lines = texts(tables.build(replace(frames, rounding=unknown), "second-rounding"))
    assert lines["w4"][2] == DASH


def test_storage_is_set_against_full_precision(frames: Frames):
    found = tables.build(frames, "storage")
    lines = texts(found)
    assert next(iter(lines)) == "FP32"
    assert lines["FP32"][3:] == ["100.0", "100.0", ""]
    assert lines["w2 alone"][3] == "6.2"
    assert lines["one file"][3] == "25.0"
    whole = (FLOAT // 4 + REST + 4 * COPY) / (FLOAT + REST)
    assert lines["one file"][4] == f"{100 * whole:.1f}"
    run = next(iter(frames.suite.deployments))
    title, quantized, rest, _ = storage_table.forms(frames.storage, run)[5]
    assert (title, rest) == ("one model each, all", 4 * (REST + COPY))
    assert quantized == FLOAT * (8 + 6 + 4 + 2) // 32


def test_networks_that_read_tokens_have_rows_in_sixteen_bits(frames: Frames):
    assert not any("FP16" in line for line in texts(tables.build(frames, "storage")))
    read, size = frames.storage, REST // 2
    of_tensors = read.form.isin(["fp32", "separate", "file"])
    counted = read.assign(embedding_and_head=pd.Series(size, read.index).where(of_tensors))
    found = tables.build(replace(frames, storage=counted), "storage")
    assert any(note.startswith("FP16:") for note in found.notes)
    lines = texts(found)
    assert lines["FP16"][3:] == ["50.0", "50.0", ""]
    for title, rest in (("w2 alone", REST + COPY), ("one file", REST + 4 * COPY)):
        halved = lines[f"{title}, embedding and head FP16"]
        assert halved[0] == lines[title][0]
        assert halved[1] == f"{(rest - size // 2) / 1024:,.1f}"
    assert sum("FP16" in line for line in lines) == 1 + 4 + 1


def test_further_bits_of_codes_beyond_their_range_are_told(frames: Frames):
    run = next(iter(frames.suite.deployments))
    storage = frames.storage[frames.storage.run == run].copy()
    storage.loc[(storage.form == "separate") & (storage.bits == 2), "beyond"] = 0.0512
    found = [title for title, *_ in storage_table.forms(storage, run)]
    assert found[1:5] == ["w8 alone", "w6 alone", "w4 alone", "w2 alone, 2.05 bits"]


def training_entries(table: Table) -> list[str]:
    (section,) = (one for one in table.sections if one.title == "training")
    assert [line.label for line in section.lines] == ["ResNet-20, {8,6,4,2}", "ResNet-20, {4,3,2}"]
    return [entry.text for entry in section.lines[0].entries]


def test_training_has_its_peak_memory_and_energy(frames: Frames):
    runs = frames.runs.assign(energy_source="GPU", energy_shared=False, train_energy_j=7200.0)
    found = tables.build(replace(frames, runs=runs), "storage")
    assert training_entries(found) == ["600 MiB", "600 MiB", "2", "2"]
    assert [reason for _, reason in found.footnotes] == [storage_table.NOT_TIMED]


def test_energy_that_was_not_measured_is_a_dash_with_its_reason(frames: Frames):
    found = tables.build(frames, "storage")
    assert training_entries(found) == ["600 MiB", "600 MiB", DASH, DASH]
    _, (_, reason) = found.footnotes
    assert reason == "energy is not known: trained by a version of bitswitch that reads no counter"


def test_forms_in_memory_have_the_time_of_a_switch(results: Path):
    suite = make_deployed(seeds=[0])
    for run in suite.runs.values():
        write_run(run, results)
    for run in suite.deployments.values():
        write_deployment(run, results, switch_s={"4": 0.00312})
    lines = texts(tables.build(collect.collect(suite, results), "storage"))
    assert lines["in memory at w4"][-1] == "3.12"
    assert lines["in memory at w2"][-1] == DASH
    assert lines["w4 alone"][-1] == lines["one file"][-1] == ""


def test_several_variants_are_told_apart(results: Path):
    variants = VARIANTS | {
        "per-channel": {
            "title": "per channel",
            "deploy": True,
            "method": {"name": "double-rounding", "options": {"weight_granularity": "per-channel"}},
        }
    }
    suite = make_deployed(
        experiments={"deployment": EXPERIMENTS["deployment"] | {"variants": variants}}
    )
    write_all(suite, results)
    found = tables.build(collect.collect(suite, results), "deployment")
    titles = [line.entries[0].text for line in found.sections[0].lines if line.rule]
    assert titles == ["Double Rounding", "per channel"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("state", ["complete", "diverged", "missing"])
def test_tables_are_written_in_every_state(name: str, state: str, results: Path):
    suite = make_deployed()
    for run in suite.runs.values():
        write_run(run, results)
    for run in suite.deployments.values() if state != "missing" else ():
        write_deployment(run, results, status=state, diagnosis="loss is nan")
    folder = collect.write(suite, results)
    tex, html = tables.write(name, folder)
    assert ("not run to the end" in html.read_text()) == (state == "missing")
    assert ("diverged: loss is nan" in html.read_text()) == (state == "diverged")
    assert tex.stat().st_size > 500


@pytest.mark.parametrize("name", ["figure-second-rounding", "figure-storage"])
@pytest.mark.parametrize("complete", [True, False])
def test_figures_are_drawn_or_say_why_not(name: str, complete: bool, results: Path):
    suite = make_deployed()
    if complete:
        write_all(suite, results)
    folder = collect.write(suite, results)
    assert name in figures.names(suite)
    paths = figures.write(name, folder)
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in figures.write(name, folder)] == before


def test_the_legend_goes_from_the_widest_to_the_narrowest(frames: Frames):
    (legend,) = deployment_figures.draw_rounding(frames, "second-rounding", "resnet20").legends
    widths = [int(text.get_text().removesuffix(" bits")) for text in legend.get_texts()]
    assert widths == sorted(set(frames.rounding.bits), reverse=True)


def test_suites_without_deployments_have_neither(suite, folder: Path):
    assert not {"figure-second-rounding", "figure-storage"} & set(figures.names(suite))
    assert Frames.read(folder).deployments.empty


def test_a_damaged_line_is_named(results: Path):
    suite = make_deployed()
    write_all(suite, results)
    run = next(iter(suite.deployments))
    (results / "deployments" / run / "storage.jsonl").write_text('{"form": "paper"}\n')
    seal(results / "deployments" / run)
    with pytest.raises(RecordError, match=r"storage\.jsonl, line 1"):
        collect.collect(suite, results)


def test_deployments_of_different_code_do_not_mix(results: Path):
    suite = make_deployed()
    write_all(suite, results)
    run = next(iter(suite.deployments))
    path = results / "deployments" / run / "provenance.json"
    path.write_text(json.dumps({"code_hash": "other"}))
    seal(path.parent)
    with pytest.raises(RecordError, match="different code versions"):
        collect.collect(suite, results)


def test_shared_experiments_read_the_same_deployments():
    suite = make_suite(seeds=[0], experiments=EXPERIMENTS)
    one = make_suite(seeds=[0], experiments={"storage": EXPERIMENTS["storage"]})
    assert set(suite.deployments) == set(one.deployments)
