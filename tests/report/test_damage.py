"""Every file that ``collect`` reads, damaged: none of it is ever used."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bitswitch.errors import RecordError
from bitswitch.results import deployments, records
from tests.report import deployment_records, mixed

RUNS = ("result.json", "provenance.json", "metrics.jsonl", "train.jsonl")
SENSITIVITIES = ("result.json", "provenance.json", "scores.csv")
SEARCHES = ("result.json", "provenance.json", "metrics.jsonl", "policies/average-bits-4.json")
DEPLOYMENTS = (
    "result.json",
    "provenance.json",
    "parity.jsonl",
    "storage.jsonl",
    "rounding.jsonl",
    "correct.jsonl",
)


def flip(lines: list[bytes]) -> list[bytes]:
    """Change the last digit."""
    text = b"".join(lines)
    place = max(match.start() for match in re.finditer(rb"\d", text))
    return [text[:place], b"1" if text[place : place + 1] != b"1" else b"2", text[place + 1 :]]


DAMAGE: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "digit": flip,
    "lost": lambda lines: lines[:-1],
    "doubled": lambda lines: [*lines, lines[-1]],
}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Callable[[], object]]]:
    """Return a finished folder of each kind, and what reads it."""
    from tests.report.conftest import know_plugins

    results = tmp_path_factory.mktemp("damage")
    with pytest.MonkeyPatch.context() as patch:
        know_plugins(patch)
        suite, deployed = mixed.make_mixed(), deployment_records.make_deployed()
        scored = next(iter(suite.sensitivities.values()))
        searched = next(one for one in suite.searches.values() if one.budgets[0].at_most == 4)
        exported = next(iter(deployed.deployments.values()))
        run = mixed.write_run(exported, results)
        scoring = mixed.write_scoring(scored, results)
        search = mixed.write_search(searched, results)
        deployment = deployment_records.write_deployment(exported, results)
    return {
        "runs": (run, lambda: records.read_run(run)),
        "sensitivities": (scoring, lambda: records.read_scoring(scoring, scored)),
        "searches": (search, lambda: records.read_search(search)),
        "deployments": (deployment, lambda: deployments.read_deployment(deployment)),
    }


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("runs", name) for name in RUNS),
        *(("sensitivities", name) for name in SENSITIVITIES),
        *(("searches", name) for name in SEARCHES),
        *(("deployments", name) for name in DEPLOYMENTS),
    ],
)
def test_what_is_damaged_is_refused_by_name(
    read: dict[str, tuple[Path, Callable[[], object]]], kind: str, name: str, damage: str
):
    folder, reader = read[kind]
    assert reader() is not None
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(b"".join(DAMAGE[damage](content.splitlines(keepends=True))))
    assert path.read_bytes() != content
    with pytest.raises(RecordError, match=re.escape(name)) as error:
        reader()
    assert f"Delete {folder}" in str(error.value) or "delete its folder" in str(error.value)
    path.write_bytes(content)
    assert reader() is not None
