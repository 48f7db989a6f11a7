"""Tests of ``bitswitch compare``: two collections of made-up results side by side."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from bitswitch.contracts.metric import Metric
from bitswitch.errors import ReportError
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.comparison import comparison as comparing
from bitswitch.report.comparison import text
from bitswitch.report.comparison.cells import Cell, Place, Seed, Value
from bitswitch.report.comparison.comparison import Comparison, Difference, compare
from bitswitch.report.packs import pack
from bitswitch.spec.run import RunSpec
from bitswitch.suite.suite import Suite
from tests.report.claims.test_scorecard import own
from tests.report.conftest import PROVENANCE, alrs_of, write_run

Command = Callable[..., tuple[int | str, str, str]]

PERPLEXITY = Metric("perplexity", "Perplexity", "1", "lower", 2, "log")
TOP1 = Metric("top1", "Top-1", "percent", "higher", 2)
SEEDS = list(range(6))


def made(suite: Suite, results: Path, change: Callable[[RunSpec, int], float]) -> Frames:
    """Return what a suite collects whose accuracies are 80 plus a change, on the grid of 1000."""
    for run in suite.runs.values():
        top1 = {bits: round(80.0 + change(run, bits), 1) for bits in run.bitset}
        write_run(run, results, top1=top1)
    return collect.collect(suite, results)


def spread(run: RunSpec, bits: int) -> float:
    return 0.1 * (run.seed % 3)


def worse(run: RunSpec, bits: int) -> float:
    """Lose 5 points at 2 bits of one variant, and move other values of it by next to nothing."""
    if alrs_of(run) == "off":
        return spread(run, bits)
    return spread(run, bits) + (-5.0 - 0.1 * (run.seed % 2) if bits == 2 else 0.1 * (run.seed % 2))


def at(found: Comparison, variant: str, policy: str) -> Difference:
    (row,) = (r for r in found.rows if (r.place.variant, r.place.policy) == (variant, policy))
    return row


def test_results_equal_themselves(tmp_path: Path):
    suite = own(seeds=SEEDS)
    one = made(suite, tmp_path, spread)
    found = compare(one, one)
    assert {row.outcome for row in found.rows} == {"equal"}
    assert {row.change for row in found.rows} == {0.0}


def test_a_loss_beyond_noise_is_told_from_what_seeds_and_examples_do(tmp_path: Path):
    suite = own(seeds=SEEDS)
    before, after = made(suite, tmp_path / "a", spread), made(suite, tmp_path / "b", worse)
    found = compare(before, after)
    lost, moved = at(found, "other", "2"), at(found, "other", "8")
    assert (lost.outcome, moved.outcome) == ("differs", "within noise")
    assert lost.change == pytest.approx(-5.05)
    assert lost.low is not None
    assert lost.high is not None
    assert lost.low < -5.05 < lost.high < 0
    assert (lost.left, lost.right) == (pytest.approx(80.1), pytest.approx(75.05))
    assert at(found, "plain", "2").outcome == "equal"
    assert found.rows[0] == lost
    other_way = at(compare(after, before), "other", "2")
    assert other_way.change == pytest.approx(5.05)


def test_a_side_without_numbers_says_why(tmp_path: Path):
    suite = own(seeds=[0])
    whole = made(suite, tmp_path / "a", spread)
    for run in suite.runs.values():
        if run.is_float or alrs_of(run) == "off":
            write_run(run, tmp_path / "b", top1=dict.fromkeys(run.bitset, 80.0))
    part = collect.collect(suite, tmp_path / "b")
    row = at(compare(whole, part), "other", "8")
    assert (row.outcome, row.why, row.left, row.right) == (
        "one side only", "right: missing", 80.0, None,
    )  # fmt: skip
    assert at(compare(part, whole), "other", "8").why == "left: missing"
    shown = text.listed(compare(part, whole), everything=False)
    assert "not run on the left: one (2)" in shown
    assert "one/net/other" not in shown
    assert "one/net/other/{8,2}/8" in text.listed(compare(part, whole), everything=True)


def test_a_side_that_was_run_and_has_no_number_is_listed(tmp_path: Path):
    suite = own(seeds=[0])
    whole, part = made(suite, tmp_path / "a", spread), made(suite, tmp_path / "b", spread)
    rows = part.metrics
    lost = rows.variant == "other"
    changed = {"status": rows.status.mask(lost, "diverged"), "value": rows.value.mask(lost)}
    part = replace(part, metrics=rows.assign(**changed))
    shown = text.listed(compare(whole, part), everything=False)
    assert "one/net/other/{8,2}/8" in shown
    assert "one side only (right: diverged)" in shown


def test_what_one_suite_does_not_have_is_counted_by_table(tmp_path: Path):
    large, small = own(seeds=[0]), own(seeds=[0])
    del small.experiments["one"].variants["other"]
    small = Suite.model_validate(small.model_dump(mode="json", exclude_defaults=True))
    left, right = made(large, tmp_path / "a", spread), made(small, tmp_path / "b", spread)
    found = compare(left, right)
    assert at(found, "other", "8").why == "right: no such cell"
    assert "not in the suite on the right: one (2)" in text.listed(found, everything=False)
    assert "one/net/other" not in text.listed(found, everything=False)
    assert "one/net/other/{8,2}/8" in text.listed(found, everything=True)


def test_other_seeds_are_not_compared(tmp_path: Path):
    left = made(own(seeds=[0]), tmp_path / "a", spread)
    right = made(own(seeds=[1]), tmp_path / "b", spread)
    row = at(compare(left, right), "other", "8")
    assert (row.outcome, row.why) == ("one side only", "no seed is on both sides")


def cell(
    metric: Metric,
    noise: float | None,
    *values: float,
    right: float | None = None,
    data: str = "digits",
) -> Cell:
    """Return a cell with one value per seed, of which examples a share ``right`` is right."""
    known = None if right is None else np.arange(1000) < 1000 * right
    place = Place("e", "n", "v", "{8,2}", "2", metric.name)
    found: Mapping[Seed, Value] = {
        Seed(seed, None): Value(value, "complete", noise, f"run-{seed}", known)
        for seed, value in enumerate(values)
    }
    return Cell(place, metric, data, found)


def compared(monkeypatch: pytest.MonkeyPatch, left: Cell, right: Cell) -> Difference:
    monkeypatch.setattr(comparing, "cells", lambda side: {side.cell.place: side.cell})
    monkeypatch.setattr(comparing.health, "provenance", lambda side: [])
    suite = SimpleNamespace(data="embedded")
    sides: list[Any] = [SimpleNamespace(suite=suite, cell=one) for one in (left, right)]
    (row,) = compare(*sides).rows
    return row


def test_other_examples_are_not_compared(monkeypatch: pytest.MonkeyPatch):
    row = compared(
        monkeypatch, cell(TOP1, 1.96, 80.0, right=0.8), cell(TOP1, 1.96, 90.0, right=0.9, data="x")
    )
    assert (row.outcome, row.change, row.why) == ("not testable", None, "on digits and on x")


def test_embedded_data_are_never_set_beside_published_ones(tmp_path: Path):
    left = made(own(seeds=[0]), tmp_path / "a", spread)
    right = made(own(data="embedded", seeds=[0]), tmp_path / "b", spread)
    with pytest.raises(ReportError, match="published data and on embedded data are never compared"):
        compare(left, right)


@pytest.mark.parametrize(
    ("value", "outcome", "p"),
    [(81.0, "within noise", 0.48), (86.0, "differs", 0.000022)],
)
def test_one_seed_is_held_against_the_size_of_the_test_set(monkeypatch, value, outcome, p):
    row = compared(monkeypatch, cell(TOP1, 1.96, 80.0), cell(TOP1, 1.96, value))
    # A difference has the standard deviation of the root of two points.
    assert (row.outcome, row.p) == (outcome, pytest.approx(p, rel=0.02))


def test_one_seed_is_held_against_its_examples_where_they_are_known(monkeypatch):
    few = compared(
        monkeypatch, cell(TOP1, 9.0, 80.0, right=0.8), cell(TOP1, 9.0, 80.3, right=0.803)
    )
    many = compared(
        monkeypatch, cell(TOP1, 9.0, 80.0, right=0.8), cell(TOP1, 9.0, 82.0, right=0.82)
    )
    # 3 and 20 examples to none: McNemar's p is 2 / 2^3 and 2 / 2^20.
    assert (few.outcome, few.p) == ("within noise", pytest.approx(2 / 2**3))
    assert (many.outcome, many.p) == ("differs", pytest.approx(2 / 2**20))


def test_one_seed_without_known_noise_is_not_tested(monkeypatch):
    row = compared(monkeypatch, cell(TOP1, None, 80.0), cell(TOP1, None, 90.0))
    assert (row.outcome, row.p) == ("not testable", None)


def test_perplexities_change_by_a_ratio(monkeypatch):
    left, right = cell(PERPLEXITY, None, 10.0, 20.0), cell(PERPLEXITY, None, 11.0, 22.0)
    row = compared(monkeypatch, left, right)
    assert row.change == pytest.approx(10.0)
    assert text.change(row) == "+10.00 [+10.00, +10.00] %"
    assert row.outcome == "differs"
    noisy = compared(monkeypatch, cell(PERPLEXITY, 1.96, 10.0), cell(PERPLEXITY, 1.96, 10.0 * 1.1))
    # Half-widths of logarithms are 19.6 % and 17.8 %.
    assert noisy.p == pytest.approx(0.48, abs=0.01)


def written(suite: Suite, path: Path) -> Path:
    path.write_text(yaml.safe_dump(suite.model_dump(mode="json", exclude_defaults=True)))
    return path


@pytest.fixture
def packs(tmp_path: Path) -> tuple[Path, Path]:
    """Return packs of a suite before and after something got worse."""
    suite, files = own(seeds=SEEDS), []
    for name, change in (("before", spread), ("after", worse)):
        made(suite, tmp_path / name, change)
        files.append(tmp_path / f"{name}.tar.xz")
        pack.write(suite, tmp_path / name, files[-1])
    return files[0], files[1]


def test_packs_are_compared_in_a_terminal(bitswitch: Command, packs: tuple[Path, Path]):
    code, out, _ = bitswitch("compare", *packs)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["cell", "left", "right", "change", "n", "p", "outcome"]
    assert lines[1].startswith("one/net/other/{8,2}/2 top1  80.10  75.05  -5.05 [")
    assert lines[1].endswith("  differs")
    assert lines[-1].startswith("1 differs, 1 within noise, ")
    assert len(lines) == 4
    assert "other/{8,2}/8" in bitswitch("compare", *packs, "--all")[1]


def test_a_suite_is_compared_with_a_pack(
    bitswitch: Command, packs: tuple[Path, Path], tmp_path: Path
):
    suite = written(own(seeds=SEEDS), tmp_path / "tiny.yaml")
    out = bitswitch("compare", suite, packs[0], "--results", tmp_path / "before", "--json")[1]
    content = json.loads(out)
    assert content["counts"] == {
        "differs": 0, "within noise": 0, "equal": len(content["cells"]),
        "one side only": 0, "not testable": 0,
    }  # fmt: skip
    assert {"experiment", "outcome", "change", "adjusted"} <= content["cells"][0].keys()


def test_what_the_sides_were_made_with_is_said_where_it_differs(
    bitswitch: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    suite, files = own(seeds=SEEDS), []
    for name in ("AVX512", "AVX2"):
        monkeypatch.setitem(PROVENANCE, "instructions", name)
        monkeypatch.setitem(PROVENANCE, "commit", name)  # of the code, and so no reason
        made(suite, tmp_path / name, spread)
        files.append(tmp_path / f"{name}.tar.xz")
        pack.write(suite, tmp_path / name, files[-1])
    said = "not made alike: instructions AVX512 on the left, AVX2 on the right"
    assert said in bitswitch("compare", *files)[1].splitlines()
    bitswitch("compare", *files, "-o", tmp_path / "page.html")
    assert said.removeprefix("not ") in (tmp_path / "page.html").read_text()
    (told,) = json.loads(bitswitch("compare", *files, "--json")[1])["provenance"]
    assert told == {"title": "instructions", "left": "AVX512", "right": "AVX2"}
    assert "made alike" not in bitswitch("compare", files[0], files[0])[1]


def test_a_page_shows_what_differs(bitswitch: Command, packs: tuple[Path, Path], tmp_path: Path):
    page = tmp_path / "new" / "what.html"
    bitswitch("compare", *packs, "-o", page)
    content = page.read_text()
    assert "-5.05" in content
    assert "Differs" in content
    assert "before.tar.xz, published data" in content
    assert "http" not in content.partition("</style>")[2]
