"""Tests of ``bitswitch.report.analysis.health``."""

import re
from pathlib import Path

from bitswitch.report.analysis import health
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.suite.suite import Suite
from tests.report.conftest import make_suite, write_run

SUBNETS = "sub-nets, one per search and budget"


def test_summary_counts_and_adds_up(folder: Path, suite: Suite):
    facts = dict(health.summary(Frames.read(folder)))
    assert facts["runs"] == f"{len(suite.runs)}: {len(suite.runs)} complete"
    assert facts["training, CPU time"].endswith(" min")
    assert facts["peak memory of a run"] == "600 MiB"


def test_a_mixture_of_code_is_told(folder: Path):
    frames = Frames.read(folder)
    assert "code" not in dict(health.summary(frames))
    frames.runs.loc[0, "code_hash"] = "other"
    assert dict(health.summary(frames))["code"].startswith("2 versions")


def test_provenance_lists_what_differs(folder: Path):
    frames = Frames.read(folder)
    frames.runs.loc[0, "device_name"] = "Epyc"
    facts = dict(health.provenance(frames))
    assert facts["device"] == "Epyc, Xeon"
    assert facts["threads"] == "1"
    assert facts["from, to"] == "2026-01-01T00:00:00+00:00, 2026-01-01T00:01:00+00:00"


def test_problems_come_first_and_say_what_happened(suite: Suite, results: Path):
    missing, diverged, *good = suite.runs.values()
    write_run(diverged, results, status="diverged", diagnosis="loss is nan")
    for run in good:
        write_run(run, results)
    frames = collect.collect(suite, results)
    problems = health.problems(frames)
    assert {line.run: line.diagnosis for line in problems} == {
        missing.run_id: "not run to the end",
        diverged.run_id: "loss is nan",
    }
    assert health.lines(frames)[:2] == problems


def test_the_worst_bit_width_is_shown(folder: Path):
    lines = health.lines(Frames.read(folder))
    assert {line.negative for line in lines if line.alrs == "literal"} == {"70 %"}
    assert {line.negative for line in lines if line.bitset == "FP"} == {""}


def test_an_empty_suite_has_a_summary(suite: Suite, results: Path):
    frames = collect.collect(suite, results)
    assert [fact.title for fact in health.summary(frames)] == ["runs"]
    assert health.provenance(frames) == []


def test_scores_and_searches_are_counted_where_there_are_any(mixed_frames: Frames, folder: Path):
    facts = {fact.title: fact.text for fact in health.summary(mixed_frames)}
    assert re.fullmatch(r"(\d+): \1 complete", facts["scored networks"])
    assert re.fullmatch(r"(\d+): \1 complete", facts[SUBNETS])
    assert SUBNETS not in {fact.title for fact in health.summary(Frames.read(folder))}


def test_a_rehearsal_says_of_every_kind_of_job_what_it_took_and_what_failed(
    mixed_frames: Frames, results: Path
):
    told = dict(health.rehearsed(mixed_frames))
    assert {title.partition(" ")[0] for title in told} == {"training", "scores", "sub-nets"}
    suite = make_suite(data="made-up")
    missing, diverged, *good = suite.runs.values()
    write_run(diverged, results, status="diverged", diagnosis="loss is nan")
    for run in good:
        write_run(run, results)
    facts = dict(health.summary(collect.collect(suite, results)))
    (text,) = (text for title, text in facts.items() if title.startswith("training of "))
    assert re.match(
        rf"{len(good) + 1} of {len(good) + 2} done, in [\d.]+ \w+, the longest in", text
    )
    assert ", at most 600 MiB; " in text
    assert f"{missing.run_id} missing" in text
    assert f"{diverged.run_id} diverged" in text
    assert "runs" not in facts
