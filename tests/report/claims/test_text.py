"""Tests of ``bitswitch claims``: verdicts in a terminal."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from bitswitch.report.claims.vocabulary import MEANINGS
from bitswitch.report.document import scorecard
from bitswitch.report.packs import pack
from bitswitch.suite.suite import Suite, load_suite
from tests.report.claims.test_scorecard import judged, own

Command = Callable[..., tuple[int | str, str, str]]


@pytest.fixture
def measured(results: Path, tmp_path: Path) -> Path:
    """Return the file of a suite with a claim that holds; its runs are there."""
    suite = own(right={"kind": "direction"})
    judged(suite, results, gain=2.0)
    return written(suite, tmp_path)


def written(suite: Suite, folder: Path) -> Path:
    path = folder / "tiny.yaml"
    content = suite.model_dump(mode="json", exclude_defaults=True)
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_suite_need_not_be_collected(bitswitch: Command, measured: Path, results: Path):
    code, out, _ = bitswitch("claims", measured, "--results", results)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["claim", "verdict", "found", "claimed", "measured", "statement"]
    (line,) = (line for line in lines if line.startswith("right"))
    assert "  holds  " in line
    assert "2 points [1.91, 2.09] (n=12)" in line
    assert "1 holds" in lines[-2]


def test_a_claim_is_told_in_full(bitswitch: Command, measured: Path, results: Path):
    out = bitswitch("claims", measured, "--results", results, "--id", "right,C08")[1]
    printed, right = out.split("\n\n")
    assert "one/net/other/{8,2}/8" in right
    assert "p              0.00049, 0.00049 among all tested claims" in right
    assert "verdict        not run" in printed
    assert f"which means    {MEANINGS['not run']}" in printed
    assert "what runs it   snakemake --cores 2 --config suite=paper claims=C08" in printed
    assert (
        "which takes    2 runs, about 70 GPU hours; 1 seed, a verdict on it alone needs 6"
        in printed
    )


def test_json_of_a_pack_is_that_of_its_suite(
    bitswitch: Command, measured: Path, results: Path, tmp_path: Path
):
    file = tmp_path / "one.tar.xz"
    pack.write(own(right={"kind": "direction"}), results, file)
    of_suite = json.loads(bitswitch("claims", measured, "--results", results, "--json")[1])
    of_pack = json.loads(bitswitch("claims", file, "--json")[1])
    assert of_pack == of_suite
    assert of_pack.keys() == {"claims"}
    verdicts = {row["id"]: row["verdict"] for row in of_pack["claims"]}
    assert len(verdicts) == 41
    assert verdicts["right"] == "holds"
    assert verdicts["C40"] == "not run"


def test_a_seed_that_is_missing_can_be_run(bitswitch: Command, measured: Path, results: Path):
    gone = next((results / "runs").glob("double-*-s11-*/result.json"))
    gone.unlink()
    out = bitswitch("claims", measured, "--results", results, "--json", "--id", "right")[1]
    (row,) = json.loads(out)["claims"]
    assert row["seeds"] == 11
    assert row["command"].endswith(f"--config suite={measured} claims=right")
    assert row["cost"] == "1 run of 3 epochs in all"


def test_a_report_calls_a_suite_of_its_own_file_by_its_path(
    bitswitch: Command, measured: Path, results: Path
):
    next((results / "runs").glob("double-*-s11-*/result.json")).unlink()
    folder = results / load_suite(measured).name
    for command in ("collect", "table"):
        bitswitch(command, measured, "--results", results)
    page = (folder / scorecard.PAGE).read_text()
    assert f"--config suite={measured} claims=right<" in page
    commands = pd.read_csv(folder / "claims.csv").set_index("id").command
    assert commands["right"].endswith(f"suite={measured} claims=right")
    assert commands["C08"].endswith("suite=paper claims=C08")


def test_an_unknown_claim_is_one_error(bitswitch: Command, measured: Path, results: Path):
    code, _, messages = bitswitch("claims", measured, "--results", results, "--id", "rihgt")
    assert code != 0
    assert "Did you mean 'right'?" in messages
