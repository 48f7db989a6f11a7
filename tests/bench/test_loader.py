"""The benchmark of loaders, on few pictures."""

import pytest
import torch

from bitswitch.bench import BENCHMARKS, loader
from bitswitch.testing.made_up import Amount


@pytest.fixture(scope="module")
def ways(tmp_path_factory):
    return loader.loaders(tmp_path_factory.mktemp("pictures"), Amount(classes=2, per_class=4))


def test_it_is_a_benchmark():
    assert "loader" in BENCHMARKS


def test_all_show_the_same_crops(ways):
    batches = {name: way.finish(way.read([0, 5], (1,))) for name, way in ways.items()}
    shown = batches.pop(loader.FOLDER)
    batches.pop(loader.BASELINE)  # draws from the global generator
    for name, batch in batches.items():
        likeness = torch.corrcoef(torch.stack([shown.flatten(), batch.flatten()]))[0, 1]
        assert likeness > 0.9, name
    assert torch.equal(batches["packed, original"], shown)


def test_the_table_is_whole(monkeypatch):
    monkeypatch.setattr(loader, "AMOUNT", Amount(classes=2, per_class=4))
    monkeypatch.setattr(loader, "COUNT", 8)
    monkeypatch.setattr(loader, "BATCH_SIZE", 4)
    monkeypatch.setattr(loader, "ROUNDS", 2)
    found = loader.measure()
    assert {len(row) for row in found.rows} == {len(found.columns)}
    assert found.figures[f"speedup_{loader.BASELINE}"] == 1
    assert found.figures["speedup_packed, raw-256"] > 1
