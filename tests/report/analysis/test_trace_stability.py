import math
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from bitswitch.report.analysis.trace_stability import DRAWS, STABILITY, rank_correlation, stability
from bitswitch.report.collect.columns import SCORES, SENSITIVITIES
from bitswitch.report.collect.frames import frame

LAYERS = [f"layer{number}" for number in range(9)]
values = st.floats(-100, 100, allow_subnormal=False)


def sensitivity(key, epoch, **changes):
    row = {"plugin": "hessian-trace", "run": "a", "model": "resnet8", "seed": 0}
    return {"sensitivity": key, "epoch": epoch, "status": "complete", **row, **changes}


def scores(key, numbers, bits=None, operand="layer"):
    return [
        {"sensitivity": key, "position": n, "layer": layer, "operand": operand, "bits": bits}
        | {"value": value, "standard_error": 0.0}
        for n, (layer, value) in enumerate(zip(LAYERS, numbers, strict=False))
    ]


def frames(about, rows):
    sensitivities = frame(about, SENSITIVITIES).astype({"epoch": "Int64"})
    return sensitivities, frame((row for part in rows for row in part), SCORES)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(values, values), min_size=3, max_size=20))
def test_the_correlation_is_spearmans(pairs):
    first, second = zip(*pairs, strict=True)
    found = rank_correlation(first, second)
    assert found.layers == len(pairs)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert math.isnan(found.correlation)
        assert math.isnan(found.p)
    else:
        assert found.correlation == pytest.approx(spearmanr(first, second).statistic, abs=1e-9)
        assert 0 < found.p <= 1


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(5)))
def test_few_layers_are_tested_exactly(order):
    def correlation(one):
        return 1 - 6 * sum((a - b) ** 2 for a, b in enumerate(one)) / (5 * 24)

    orders = [correlation(one) for one in permutations(range(5))]
    as_extreme = [one for one in orders if abs(one) >= abs(correlation(order)) - 1e-9]
    assert rank_correlation(range(5), order).p == pytest.approx(len(as_extreme) / 120)


def test_many_layers_are_tested_at_random():
    draw = np.random.default_rng(3)
    first = draw.normal(size=30)
    second = first + 1.5 * draw.normal(size=30)
    found = rank_correlation(first, second)
    assert found.p == pytest.approx(spearmanr(first, second).pvalue, rel=0.5, abs=0.003)
    assert found == rank_correlation(first, second)
    assert rank_correlation(range(30), range(30)).p == 1 / (1 + DRAWS)


@pytest.mark.parametrize("numbers", [[], [1.0], [1.0, 2.0]])
def test_two_layers_tell_nothing(numbers):
    found = rank_correlation(numbers, numbers)
    assert found.layers == len(numbers)
    assert math.isnan(found.correlation)


def test_every_later_epoch_is_compared_with_the_first():
    numbers = [9, 8, 7, 6, 5, 4, 3, 2, 1]
    found = stability(
        *frames(
            [
                sensitivity("trained", None),
                sensitivity("e2", 2),
                sensitivity("e0", 0),
                sensitivity("e1", 1),
            ],
            [
                scores("e0", numbers),
                scores("e1", [10 * n for n in numbers]),
                scores("e2", [8, 9, *numbers[2:]]),
                scores("trained", numbers[::-1]),
            ],
        )
    )
    assert tuple(found.columns) == STABILITY
    assert found.epoch.tolist() == [1, 2, pd.NA]
    assert found.correlation.tolist() == pytest.approx([1, 1 - 6 * 2 / (9 * 80), -1])
    assert found.layers.tolist() == [9, 9, 9]
    assert (found.p < 0.001).all()
    assert set(found.run) == {"a"}


def test_runs_and_seeds_are_compared_with_their_own_start():
    numbers = [1.0, 2.0, 3.0, 4.0]
    about, rows = [], []
    for run, sign in (("a", 1), ("b", -1)):
        for epoch in (0, 5):
            key = f"{run}{epoch}"
            about.append(sensitivity(key, epoch, run=run, seed=int(run == "b")))
            rows.append(scores(key, [sign * n if epoch else n for n in numbers]))
    found = stability(*frames(about, rows))
    assert dict(zip(found.run, found.correlation, strict=True)) == {"a": 1.0, "b": -1.0}


def test_layers_are_compared_by_name():
    _, table = frames([], [scores("e0", [1, 2, 3, 4]), scores("e1", [1, 2, 3, 4, 5])])
    about, _ = frames([sensitivity("e0", 0), sensitivity("e1", 1)], [])
    found = stability(about, table.iloc[::-1])
    assert found.layers.tolist() == [4]
    assert found.correlation.tolist() == [1.0]


@pytest.mark.parametrize(
    "about",
    [
        [],
        [sensitivity("e0", 0)],
        [sensitivity("e1", 1)],
        [sensitivity("e0", 0, status="diverged"), sensitivity("e1", 1)],
        [sensitivity("e0", 0), sensitivity("e1", 1, status="missing")],
        [sensitivity("e0", 0), sensitivity("e1", 1, run="b")],
    ],
)
def test_what_is_not_there_is_not_compared(about):
    found = stability(*frames(about, [scores("e0", range(9)), scores("e1", range(9))]))
    assert tuple(found.columns) == STABILITY
    assert found.empty


def test_scores_by_bit_width_are_not_compared():
    rows = [scores(key, range(9), bits=4) for key in ("e0", "e1")]
    found = stability(*frames([sensitivity("e0", 0), sensitivity("e1", 1)], rows))
    assert found.layers.tolist() == [0]
    assert found.correlation.isna().all()
