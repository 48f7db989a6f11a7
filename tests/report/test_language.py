"""Reports about language models: means and differences of perplexities are those of logarithms."""

import json
import sys
from math import exp, inf, log, nan
from pathlib import Path
from typing import Any

import pytest

from bitswitch.contracts.metric import Metric
from bitswitch.plugins import facts
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.collect.headline import Headline
from bitswitch.report.document import html, parts, pdf
from bitswitch.report.figures import figures
from bitswitch.report.render.table import DASH, Section, Table
from bitswitch.report.tables import accuracy_table
from bitswitch.report.tables.accuracy_section import ALONE, SLICED
from tests.report.conftest import FACTS, NETWORK, OFF, make_suite, seal, write_run

PERPLEXITY = Metric("perplexity", "Perplexity per byte", "1", "lower", 3, "log")
BITS = Metric("bits_per_byte", "Bits per byte", "bits", "lower", 3)
PAIRED = {8: None, 6: 0.001, 4: 0.002, 2: 0.01}
"""Half-widths of differences of logarithms."""
NOISE = 0.02
"""Of a logarithm."""
STANDS_FOR = "TinyLlama of 1.1 B parameters"
VARIANTS: dict[str, Any] = {
    "joint": {"title": "joint", "training": OFF},
    "silu": {
        "title": "SiLU too",
        "training": OFF,
        "float_inputs": "none",
        "said_to_fail": "a reply",
    },
    "weights": {
        "title": "weights",
        "method": {"name": "matquant", "options": {"trained": [8, 4, 2]}},
        "float_inputs": "all",
    },
}


@pytest.fixture(autouse=True)
def text(known_plugins: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every dataset windows of text."""
    about = {
        "metrics": [PERPLEXITY._asdict(), BITS._asdict()],
        "measure": "perplexity",
        "example": "window",
        "beside": [BITS.name],
        "note": "Protocol: made up.",
        "chance": 28.5,
        "chance_bound": 28.5,
    }
    monkeypatch.setattr(facts, "dataset_facts", lambda name, options: FACTS | about)
    monkeypatch.setattr(facts, "sliced", lambda run: (6,) if run.method.name == "matquant" else ())


def perplexed(folder: Path, values: dict[str, float]) -> None:
    """Turn what a run says of accuracies into perplexities, with bits per byte and noise."""
    path = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    found = []
    for line in (line for line in lines if line["metric"] == "top1"):
        value = values.get(line["policy"], 7.0)
        found.append(
            line
            | {"metric": PERPLEXITY.name, "unit": "1", "value": value}
            | ({"noise": NOISE * value} if line["split"] == "test" else {})
        )
        bits = {"metric": BITS.name, "unit": "bits", "value": log(value, 2), "noise": None}
        found.append(found[-1] | bits)
        if line["split"] == "test" and (noise := PAIRED.get(int(line["policy"]))):
            about = {"metric": "perplexity_paired_noise", "unit": "nats", "value": noise}
            found.append(found[-1] | about)
    path.write_text("".join(json.dumps(line) + "\n" for line in found))
    path = folder / "train.jsonl"
    if path.exists():
        path.write_text(path.read_text().replace("top1", PERPLEXITY.name))
    seal(folder)


def framed(results: Path, values: Any, variants: dict[str, Any] = VARIANTS) -> Frames:
    """Return what is collected of one experiment; ``values(variant, seed)``: by bit-width."""
    experiment = {
        "title": "A language model",
        "networks": ["resnet20"],
        "bitsets": [[8, 6, 4, 2]],
        "figures": ["held-out-curves"],
        "variants": variants,
    }
    network = {"title": "Llama", "published": "none", **NETWORK, "stands_for": STANDS_FOR}
    suite = make_suite(
        experiments={"language": experiment}, networks={"resnet20": network}, seeds=[0, 1]
    )
    for run in suite.runs.values():
        write_run(run, results)
    for cell in suite.cells:
        perplexed(results / "runs" / cell.run.run_id, values(cell.variant, cell.seed))
    for run in suite.runs.values():
        if run.is_float:
            perplexed(results / "runs" / run.run_id, {})
    return Frames.read(collect.write(suite, results))


def shared(variant: str, seed: int) -> dict[str, float]:
    return {"8": 7.0, "6": 7.0, "4": 7.2, "2": (8.0, 18.0)[seed % 2] + (variant == "silu")}


def section(table: Table) -> Section:
    (found,) = table.sections
    return found


def row(table: Table, label: str, kind: str) -> list[str]:
    lines = section(table).lines
    start = next(at for at, line in enumerate(lines) if line.label == label)
    line = next(line for line in lines[start:] if line.kind == kind)
    return [entry.text for entry in line.entries if entry.text]


def headings(table: Table) -> list[str]:
    return [column for group in section(table).groups for column in group.columns]


def test_perplexities_are_averaged_as_logarithms_with_bits_per_byte_beside_them(results):
    table = accuracy_table.build(framed(results, shared), "language", "language")
    assert row(table, "joint", "reproduced")[-2] == "12.000"  # of 8 and 18, not 13
    bits = (log(8, 2) + log(18, 2)) / 2
    assert row(table, "joint", "bits per byte")[-2] == f"{bits:.3f}"
    below = next(one for one in section(table).lines if one.label == "joint").entries[-2].below
    deviation = abs(log(18) - log(8)) / 2**0.5
    assert below == f"±{100 * (exp(deviation) - 1):.1f} % (2)"


def test_differences_of_perplexities_are_ratios(results):
    table = accuracy_table.build(framed(results, shared), "language", "language")
    mean = (log(9 / 8) + log(19 / 18)) / 2
    assert row(table, "SiLU too", "effect, reproduced")[-1] == f"+{100 * (exp(mean) - 1):.1f} %"
    assert any("ratios, in percent" in note for note in table.notes)


def test_a_table_says_its_protocol_its_noise_and_what_it_says_nothing_of(results):
    notes = accuracy_table.build(framed(results, shared), "language", "language").notes
    assert "Protocol: made up." in notes
    assert any(f"stands in for {STANDS_FOR}" in note for note in notes)
    (noise,) = (note for note in notes if note.startswith("Noise:"))
    assert "windows of the test split" in noise
    assert "at most 2.0 %" in noise
    assert noise.endswith("paired by window, 0.1 % at 6 bits, 0.2 % at 4 bits, 1 % at 2 bits.")
    assert not any("image" in note for note in notes)


@pytest.mark.parametrize("seen", ["converges", "fails", "fails at two"])
def test_a_claim_that_a_row_fails_is_held_against_what_was_seen(results, seen):
    worst = {"converges": {}, "fails": dict.fromkeys("8642", 40.0), "fails at two": {"2": 1e9}}
    frames = framed(results, lambda variant, seed: worst[seen] if variant == "silu" else {})
    notes = accuracy_table.build(frames, "language", "language").notes
    (claim,) = (note for note in notes if note.startswith("Claim:"))
    said = {
        "converges": "at 8, 6, 4 and 2 bits; at this scale the claim is not reproduced",
        "fails": "it does not converge at 8, 6, 4 and 2 bits, as claimed",
        "fails at two": "it converges at 8, 6 and 4 bits, not at 2 bits",
    }
    assert "(a reply)" in claim
    assert "embedded data" in claim
    assert said[seen] in claim


@pytest.mark.parametrize("value", [28.5, sys.float_info.max])
def test_a_perplexity_of_guessing_is_a_dash_with_its_reason(results, value):
    frames = framed(results, lambda variant, seed: {"2": value} if variant == "joint" else {})
    table = accuracy_table.build(frames, "language", "language")
    assert row(table, "joint", "reproduced")[:-1][-1] == DASH
    assert row(table, "joint", "bits per byte") == [f"{log(7, 2):.3f}"] * 4  # 8, 6, 4 bits, FP
    assert any("test perplexity is that of guessing" in text for _, text in table.footnotes)


@pytest.mark.parametrize("value", [inf, nan])
def test_a_headline_that_is_not_finite_is_guessing(value):
    assert Headline(PERPLEXITY, "perplexity", bound=28.5).is_guess(value)
    assert Headline(PERPLEXITY, "perplexity").is_guess(value)


def test_weights_alone_are_named_where_all_rows_are(results):
    alone = {"weights": VARIANTS["weights"]}
    frames = framed(results, shared, alone)
    table = accuracy_table.build(frames, "language", "language")
    assert headings(table)[:4] == ["w8a16", "w6a16", "w4a16", "w2a16"]
    assert any(note.startswith("a16:") for note in table.notes)
    assert ALONE not in dict(table.footnotes).values()


def test_weights_alone_are_marked_where_some_rows_are(results):
    table = accuracy_table.build(framed(results, shared), "language", "language")
    assert "w8a8" in headings(table)
    assert ALONE in dict(table.footnotes).values()


def test_bit_widths_that_no_step_trains_are_marked_after_reading_too(results):
    frames = framed(results, shared, {"weights": VARIANTS["weights"]})
    table = accuracy_table.build(frames, "language", "language")
    letter = {text: letter for letter, text in table.footnotes}[SLICED]
    (line,) = (line for line in section(table).lines if line.kind == "reproduced")
    at = len(line.entries) - 5
    assert [letter in entry.marks for entry in line.entries[at:-1]] == [False, True, False, False]


def test_a_report_says_windows_and_draws_curves(results):
    frames = framed(results, shared)
    folder = results / frames.suite.name
    parts.write(frames, folder)
    paths = figures.write("figure-held-out-curves", folder, frames)
    assert all(path.stat().st_size for path in paths)
    page = html.write(frames.suite, folder).read_text()
    assert "on short windows of text and for" in page
    assert "short windows of text and for" in pdf.document(frames.suite, folder)


def test_a_row_that_is_not_run_shows_nothing_beside_the_float_network(results):
    variants = VARIANTS | {"absent": {"title": "absent", "networks": []}}
    table = accuracy_table.build(framed(results, shared, variants), "language", "language")
    assert not any(line.label == "absent" for line in section(table).lines)
