import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.errors import SpecError
from bitswitch.methods.hasb.roulette import (
    mean_draw,
    roulette_probabilities,
    sensitive_layers,
    tilt_to,
)

bitsets = st.sets(st.integers(2, 8), min_size=2).map(lambda found: tuple(sorted(found)[::-1]))
shares = st.floats(0, 1)


@given(bitsets, st.booleans(), st.floats(-300, 300))
def test_they_are_probabilities(bitset, sensitive, tilt):
    found = roulette_probabilities(bitset, sensitive, tilt)
    assert len(found) == len(bitset)
    assert all(0 <= p <= 1 for p in found)
    assert sum(found) == pytest.approx(1)


@given(bitsets)
def test_untilted_they_are_those_of_algorithm_1(bitset):
    for bits, p in zip(bitset, roulette_probabilities(bitset, sensitive=True), strict=True):
        assert p == pytest.approx(bits / sum(bitset))
    assert set(roulette_probabilities(bitset, sensitive=False)) == {1 / len(bitset)}


def test_the_text_s_means_are_those_of_algorithm_1():
    assert mean_draw((8, 6, 4, 2), share=0) == 5
    assert mean_draw((8, 6, 4, 2), share=1) == 6
    assert mean_draw((4, 3, 2), share=1) == pytest.approx(29 / 9)
    assert mean_draw((8, 6, 4, 2), share=0.3) == pytest.approx(5.3)


@given(bitsets, shares, st.floats(0.001, 0.999))
def test_the_mean_can_be_set(bitset, share, part):
    wanted = bitset[-1] + part * (bitset[0] - bitset[-1])
    tilt = tilt_to(bitset, share, wanted)
    assert mean_draw(bitset, share, tilt) == pytest.approx(wanted, abs=1e-9)
    even, uneven = (mean_draw(bitset, kind, tilt) for kind in (0, 1))
    assert even <= uneven + 1e-12


def test_a_mean_that_is_there_tilts_nothing():
    assert tilt_to((8, 6, 4, 2), 0.5, 5.5) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("mean", [2, 8, 1.5, 9])
def test_a_mean_out_of_reach_is_an_error(mean):
    with pytest.raises(SpecError, match="Choose one between 2 and 8"):
        tilt_to((8, 6, 4, 2), 0.5, mean)


traces = st.dictionaries(st.text(max_size=3), st.floats(-1e3, 1e3), min_size=1, max_size=9)


@given(traces, shares)
def test_sensitive_layers_are_the_top_ones_at_or_above_the_mean(found, limit):
    mean = sum(found.values()) / len(found)
    every, limited = sensitive_layers(found), sensitive_layers(found, limit)
    above = {name for name, value in found.items() if value > mean + 1e-9}
    assert above <= every
    assert all(found[name] >= mean - 1e-9 for name in every)
    assert limited <= every
    assert len(limited) <= limit * len(found) + 1e-6
    others = every - limited
    assert all(found[a] >= found[b] for a in limited for b in others)


def test_equal_layers_are_all_sensitive():
    assert sensitive_layers({"a": 3.0, "b": 3.0}) == {"a", "b"}
    assert sensitive_layers({}) == frozenset()


def test_reports_can_use_it_without_torch():
    code = "import sys, bitswitch.methods.hasb.roulette; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
