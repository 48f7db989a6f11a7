"""Made-up results of a suite with runs, scores, searches and a deployment."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from bitswitch.report.packs import pack
from bitswitch.suite.suite import Suite
from tests.report import deployment_records, mixed
from tests.report.conftest import OFF, know_plugins, make_suite, write_run

TRACE = mixed.TRACE
EXPERIMENTS = {
    "accuracy": {
        "title": "Accuracy",
        "networks": ["resnet20"],
        "bitsets": [[8, 4, 2]],
        "variants": {
            "plain": {"title": "plain", "training": OFF, "deploy": True, "scores": [TRACE]},
            "searched": {"title": "searched", "search": mixed.searching("ilp")},
        },
    }
}


def suite_of(seeds: list[int], **changes: Any) -> Suite:
    """Return a suite of these seeds, expanded."""
    with pytest.MonkeyPatch.context() as patch:
        know_plugins(patch)
        patch.setattr("bitswitch.plugins.facts.changes_network", lambda spec: False)
        suite = make_suite(**{"experiments": EXPERIMENTS, "seeds": seeds} | changes)
        assert all((suite.runs, suite.sensitivities, suite.searches, suite.deployments))
        return suite


def write_all(suite: Suite, results: Path) -> None:
    """Write results of all jobs of ``suite``."""
    for run in suite.runs.values():
        write_run(run, results)
    for scoring in suite.sensitivities.values():
        mixed.write_scoring(scoring, results)
    for search in suite.searches.values():
        mixed.write_search(search, results)
    for run in suite.deployments.values():
        deployment_records.write_deployment(run, results)


@pytest.fixture(scope="session")
def packs_suite() -> Suite:
    return suite_of([0])


@pytest.fixture(scope="session")
def written(packs_suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of all its jobs; not to be changed."""
    results = tmp_path_factory.mktemp("packed") / "results"
    write_all(packs_suite, results)
    return results


@pytest.fixture
def all_of_it(written: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(written, tmp_path / "copied"))


@pytest.fixture(scope="session")
def packed(packs_suite: Suite, written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of it; not to be changed."""
    file = tmp_path_factory.mktemp("packs") / "tiny.tar.xz"
    with pytest.MonkeyPatch.context() as patch:
        know_plugins(patch)
        pack.write(packs_suite, written, file)
    return file
