"""Suites of many seeds: plugins are asked once for all, and every seed is as if it stood alone."""

from pathlib import Path

import pytest
import yaml

from bitswitch.plugins import facts, registry
from bitswitch.suite.suite import load_suite

SUITES = [
    path
    for path in sorted(Path("config/suites").glob("*.yaml"))
    if path.stem != "rehearsal"  # which is `paper`
]
SPECS = ("runs", "sensitivities", "searches", "deployments")


@pytest.fixture
def with_seeds(tmp_path):
    """Return a function that loads a suite with the given seeds everywhere."""

    def load(path, seeds):
        content = yaml.safe_load(path.read_text())
        content["seeds"] = seeds
        content["networks"] = {
            name: {key: value for key, value in network.items() if key != "seeds"}
            for name, network in content["networks"].items()
        }
        for experiment in content["experiments"].values():
            (experiment or {}).pop("seeds", None)
        place = tmp_path / f"{'-'.join(map(str, seeds))}.yaml"
        place.write_text(yaml.safe_dump(content))
        return load_suite(place, Path("config/experiments.yaml"))

    return load


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_a_seed_beside_others_gives_what_it_gives_alone(with_seeds, path):
    alone = [with_seeds(path, [seed]) for seed in (3, 1)]
    both = with_seeds(path, [3, 1])
    for kind in SPECS:
        expected = {name: one for suite in alone for name, one in getattr(suite, kind).items()}
        assert getattr(both, kind) == expected
    for suite, seed in zip(alone, (3, 1), strict=True):
        assert [cell for cell in both.cells if cell.seed == seed] == list(suite.cells)


def test_plugins_are_asked_once_for_all_seeds(with_seeds, monkeypatch):
    asked = []
    for owner, name in ((registry, "resolve"), (facts, "refusal")):
        real = getattr(owner, name)
        monkeypatch.setattr(
            owner, name, lambda *words, real=real: asked.append(words) or real(*words)
        )
    counts = []
    for seeds in ([5], list(range(12))) * 2:  # the first time, what plugins say is remembered
        asked.clear()
        with_seeds(Path("config/suites/smoke.yaml"), seeds)
        counts.append(len(asked))
    assert counts[2] == counts[3] > 0


def test_a_spec_that_cells_share_is_one_object(with_seeds):
    suite = with_seeds(Path("config/suites/smoke.yaml"), [0, 1])
    for seed in (0, 1):
        starts = [c.run.start for c in suite.cells if c.seed == seed and c.run.start]
        assert len({id(one) for one in starts}) == len({one.run_id for one in starts})
        assert len(starts) > len({one.run_id for one in starts})
