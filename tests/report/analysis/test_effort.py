"""Tests of ``bitswitch.report.analysis.effort``, with times that can be added up by hand."""

from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import pytest

from bitswitch.report.analysis import subnets
from bitswitch.report.analysis.effort import Effort
from bitswitch.report.analysis.values import Values
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.tables.search_conditions import SearchConditions
from bitswitch.report.tables.searched import search_table
from bitswitch.suite.suite import Cell, Suite
from tests.report.conftest import OFF, know_plugins
from tests.report.mixed import BUDGETS, HASB, TRACE, make_mixed, write_all

OMEGA = {"sensitivity": "hawq-v2"}
TRAINED = {"method": "lsq"}


def searching(search: str, **changes: Any) -> dict[str, Any]:
    return HASB | {"title": search, "search": {"search": search, "budgets": BUDGETS, **changes}}


VARIANTS = {
    "uniform": searching("uniform", scores=TRACE),
    "sort": searching("sort", scores=TRACE),
    "ilp": searching("ilp", scores=OMEGA, retraining=OFF),
    "limpq": searching("limpq", scores={"sensitivity": "step-size", "of": TRAINED}, retraining=OFF),
    "start": searching("ilp", scores={"sensitivity": "quantization-error", "of": "start"}),
    "trained": searching("ilp", scores={"sensitivity": "quantization-error", "of": "trained"}),
}
TRAINING = {"float32": 1000.0, "double-rounding": 100.0, "hasb": 13.0, "lsq": 40.0}
SCORING = {"hessian-trace": 7.0, "hawq-v2": 8.0, "step-size": 0.5, "quantization-error": 0.25}
EXPECTED = {
    # network for the scores, scores, search, training afterwards
    "uniform": (0, 0, 1.5, 0),
    "sort": (0, 7, 1.5, 0),  # the traces guide training too, and count in full
    "ilp": (0, 8, 1.5, 4),
    "limpq": (40, 0.5, 1.5, 4),
    "start": (0, 0.25, 1.5, 0),  # of networks that the searched one needs anyway
    "trained": (0, 0.25, 1.5, 0),
}


@pytest.fixture(scope="module")
def suite() -> Suite:
    experiment = {
        "title": "Searches",
        "networks": ["resnet20"],
        "bitsets": [[8, 6, 4, 2]],
        "variants": VARIANTS,
    }
    return make_mixed("search-comparison", seeds=[0], experiments={"efforts": experiment})


@pytest.fixture(scope="module")
def collected(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Frames:
    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        know_plugins(patch)
        write_all(suite, results)
        return collect.collect(suite, results)


@pytest.fixture
def frames(collected: Frames) -> Frames:
    runs, scored = collected.runs, collected.sensitivities
    return replace(
        collected,
        runs=runs.assign(train_time_s=runs.method.map(TRAINING)),
        sensitivities=scored.assign(time_s=scored.plugin.map(SCORING)),
    )


def cell_of(suite: Suite, variant: str) -> Cell:
    return next(cell for cell in suite.cells if cell.variant == variant)


def test_every_row_is_charged_for_all_that_it_needs(frames: Frames):
    found = subnets.of_experiment(frames, "efforts")
    for variant, times in EXPECTED.items():
        rows = found[found.variant == variant]
        assert len(rows) == len(BUDGETS)  # and each budget in full
        for _, row in rows.iterrows():
            assert tuple(row[list(subnets.TIMES)]) == times
            assert row.total_time_s == sum(times)


def test_the_table_prints_what_each_row_took(frames: Frames):
    table = search_table.build(frames, "efforts", "efforts")
    effort = table.sections[0].groups[-1]
    assert effort.columns == ("for scores", "scores", "search", "tuning", "total")
    lines = {line.kind: line for line in table.sections[0].lines[:4]}
    texts = {kind: [one.text for one in line.entries[-5:]] for kind, line in lines.items()}
    assert texts["uniform"] == ["", "", "1.5 s", "", "1.5 s"]
    assert texts["ilp"] == ["", "8 s", "1.5 s", "4 s", "14 s"]
    assert texts["limpq"] == ["40 s", "0.5 s", "1.5 s", "4 s", "46 s"]


def test_table_3_counts_what_a_network_starts_from_and_what_guides_it(frames: Frames):
    values = Values(frames, "efforts")
    conditions = SearchConditions(values, values.networks[0])
    training, search, tuned = conditions.reproduced("limpq")
    assert training.text == "2.0 min"  # 100 of the start, 7 of traces and 13
    assert search.below == "42 s"
    assert (tuned.text, tuned.below) == (str(OFF.get("epochs", 3)), "4 s")


def test_full_precision_is_shared_and_a_missing_time_is_not_zero(suite: Suite, frames: Frames):
    run = cell_of(suite, "limpq").run.run_id
    assert Effort(frames).of_network(run) == 100 + 7 + 13
    frames.runs.loc[frames.runs.method == "lsq", "train_time_s"] = None
    search = cell_of(suite, "limpq").search
    assert search is not None
    assert isnan(Effort(frames).of_scores(search.identifier, run).training_time_s)
    found = subnets.of_experiment(frames, "efforts")
    assert found[found.variant == "limpq"].total_time_s.isna().all()
    assert found[found.variant == "ilp"].total_time_s.notna().all()


def test_a_guided_network_for_scores_brings_its_guide(tmp_path: Path):
    guided = searching("limpq", scores={"sensitivity": "step-size", "of": TRAINED})
    guided |= {"method": "double-rounding", "start": None, "guide": None}
    experiment = {
        "title": "S",
        "networks": ["resnet20"],
        "bitsets": [[8, 4]],
        "variants": {"a": guided},
    }
    suite = make_mixed("search-comparison", seeds=[0], experiments={"e": experiment})
    write_all(suite, tmp_path)
    frames = collect.collect(suite, tmp_path)
    search = cell_of(suite, "a").search
    assert search is not None
    assert search.sensitivity is not None
    scored = search.sensitivity.run.run_id
    guide = {"job": scored, "needs": "a-guide"}
    frames.needs.loc[len(frames.needs)] = guide
    frames.sensitivities.loc[len(frames.sensitivities), ["sensitivity", "time_s"]] = ["a-guide", 9]
    own = frames.sensitivities.set_index("sensitivity").time_s[search.sensitivity.identifier]
    found = Effort(frames).of_scores(search.identifier, search.run.run_id)
    assert found.scoring_time_s == own + 9
