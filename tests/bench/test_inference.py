"""The benchmark of inference, on a small network."""

from bitswitch.bench import BENCHMARKS, inference


def test_the_table_is_whole(monkeypatch):
    monkeypatch.setattr(inference, "NETWORKS", ("resnet8",))
    monkeypatch.setattr(inference, "ROUNDS", 1)
    monkeypatch.setattr(inference, "BATCHES", (1,))
    latencies = inference.latencies
    monkeypatch.setattr(
        inference, "latencies", lambda model, rounds: latencies(model, (1,), rounds=rounds)
    )
    found = inference.measure()
    assert "inference" in BENCHMARKS
    assert [len(row) for row in found.rows] == [len(found.columns)]
    assert found.rows[0][-1] == "3 of 10"
    assert found.figures["resnet8_1_int8_over_fp32"] > 0
