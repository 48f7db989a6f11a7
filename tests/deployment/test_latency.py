import time
from functools import partial

import pytest

from bitswitch.deployment import latency
from bitswitch.errors import LatencyBudgetError
from bitswitch.runtime import cache
from bitswitch.types import FLOAT_BITS


def test_every_bit_width_and_float32_are_measured(pair):
    found = latency.measure(pair[1], batches=(1, 3), rounds=2)
    assert [(each.bits, each.batch) for each in found] == [
        (bits, batch) for batch in (1, 3) for bits in (8, 4, 2, FLOAT_BITS)
    ]
    assert all(each.median_ms > 0 for each in found)


def test_requests_take_turns_and_medians_are_theirs():
    order = []

    def request(name, seconds):
        order.append(name)
        time.sleep(seconds)

    found = latency.alternate({8: partial(request, 8, 0.001), 4: partial(request, 4, 0.004)}, 3)
    assert order == [8, 4] * (3 + latency.WARM_UP)
    assert 1 <= found[8] < found[4]
    assert found[4] >= 4


def test_the_widest_that_fits_is_chosen():
    times = {8: 3.0, 4: 2.0, 2: 2.5}
    assert latency.widest_within(times, 3.0).bits == 8
    assert latency.widest_within(times, 2.9).bits == 4
    assert not latency.widest_within(times, 2.9).alike
    assert latency.widest_within({8: 3.1, 4: 3.0}, 4).alike


def test_a_budget_that_none_meets_is_told():
    with pytest.raises(LatencyBudgetError, match=r"4 bits, takes 2.04 ms") as caught:
        latency.widest_within({8: 3.0, 4: 2.0375}, 1.0)
    assert "--bits 4" in str(caught.value)


def test_what_was_measured_is_remembered(file, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", tmp_path / "cache")
    first = latency.known_latencies(file)
    assert list(first) == [4, 2]
    monkeypatch.setattr(latency, "measure", None)
    assert latency.known_latencies(file) == first
    with pytest.raises(TypeError):
        latency.known_latencies(file, threads=2)
