"""Tests of ``bitswitch.report.claims.scorecard``: verdicts on claims about made-up results."""

from pathlib import Path
from typing import Any

import pytest

from bitswitch.report.claims.scorecard import ClaimRow, scorecard
from bitswitch.report.claims.vocabulary import EMBEDDED, REHEARSAL
from bitswitch.report.collect import collect
from bitswitch.spec.run import RunSpec
from bitswitch.suite.suite import Suite
from tests.report.conftest import NETWORK, alrs_of, make_suite, write_run

SEEDS = list(range(12))
ONE = {"title": "One", "networks": ["net"], "bitsets": [[8, 2]]}
VARIANTS = {
    "plain": {"title": "plain", "training": {"update": "separate"}},
    "other": {"title": "other", "training": {"update": "separate", "alrs": {}}},
}
CLAIM: dict[str, Any] = {
    "source": "a talk",
    "statement": "other is better",
    "left": {"experiment": "one", "variants": ["other"]},
    "right": {"experiment": "one", "variants": ["plain"]},
}


def own(data: str = "published", seeds: list[int] = SEEDS, **claims: Any) -> Suite:
    """Return a suite of two variants with claims of its own."""
    network = {"title": "Net", "published": "none", **NETWORK}
    return make_suite(
        data=data,
        seeds=seeds,
        networks={"net": network},
        experiments={"one": ONE | {"variants": VARIANTS}},
        claims={name: CLAIM | changes for name, changes in claims.items()},
    )


def judged(suite: Suite, results: Path, gain: float, spread: float = 0.1) -> dict[str, ClaimRow]:
    """Return the rows of a suite's own claims, where ``other`` gains so many points."""
    for run in suite.runs.values():
        write_run(run, results, top1=dict.fromkeys(run.bitset, value_of(run, gain, spread)))
    rows = scorecard(collect.collect(suite, results), suite.claims)
    return {row.id: row for row in rows}


def value_of(run: RunSpec, gain: float, spread: float) -> float:
    """Return an accuracy on the grid of 1000 images."""
    shift = 0.0 if alrs_of(run) == "off" else gain + spread * (run.seed % 3 - 1)
    return round(80.0 + shift, 1)


def test_a_claim_of_a_stranger_is_judged_in_a_suite_of_its_own(results: Path):
    suite = own(
        right={"kind": "direction"},
        wrong={"kind": "direction", "direction": "worse"},
        size={"kind": "margin", "printed": 2.0},
        large={"kind": "margin", "printed": 9.0},
        same={"kind": "equivalence", "margin": 4.0, "reason": "twice what seeds differ by"},
        less={"kind": "equivalence", "margin": 0.5, "reason": "what nobody sees"},
    )
    rows = judged(suite, results, gain=2.0)
    assert {name: row.verdict for name, row in rows.items()} == {
        "right": "holds",
        "wrong": "contradicted",
        "size": "holds",
        "large": "holds, smaller",
        "same": "holds",
        "less": "contradicted",
    }
    row = rows["size"]
    assert (row.estimate, row.seeds, row.unit, row.found) == (
        pytest.approx(2.0), 12, "points", "as claimed",
    )  # fmt: skip
    assert row.low is not None
    assert row.high is not None
    assert row.low < 2.0 < row.high
    assert None not in (row.bca_low, row.bca_high)
    assert row.low < row.bca_low < 2.0 < row.bca_high < row.high
    assert row.spread == pytest.approx(0.085, abs=0.003)  # of gains 1.9, 2.0 and 2.1
    assert (row.tables, row.missing, row.command) == (("one",), 0, None)
    assert set(row.cells) == {
        f"one/net/{variant}/{{8,2}}/{bits}" for variant in VARIANTS for bits in (8, 2)
    }
    assert len(row.runs) == 24


def test_noise_is_no_evidence_even_where_it_fits_a_claim(results: Path):
    rows = judged(own("made-up", right={"kind": "direction"}), results, gain=2.0)
    row = rows["right"]
    assert row.verdict == REHEARSAL
    assert (row.estimate, row.seeds, row.found, row.why) == (None, 0, "", "")
    assert row.runs, "what ran is told"


def test_on_embedded_data_nothing_is_judged_but_what_was_seen_is_told(results: Path):
    worse = {"kind": "margin", "direction": "worse", "printed": -1.0}
    suite = own("embedded", right={"kind": "direction"}, wrong=worse)
    rows = judged(suite, results, gain=2.0)
    assert {row.verdict for row in rows.values()} == {EMBEDDED}
    assert rows["right"].found == "as claimed"
    assert rows["wrong"].found == "against the claim"
