"""Tests of ``bitswitch.report.analysis.traces``."""

import pandas as pd
import pytest

from bitswitch.report.analysis import traces
from bitswitch.report.collect.frames import Frames
from tests.report.conftest import LAYERS
from tests.report.mixed import TRACES


def test_scores_are_found_by_their_use(mixed_frames: Frames):
    frames = mixed_frames
    rows = traces.of_experiment(frames, "hmt")
    assert len(rows) == 2 * len(LAYERS)
    assert set(traces.of_experiment(frames, "limited-share", "guide").variant) == {
        "printed",
        "mean",
        "limit",
    }
    assert traces.of_experiment(frames, "limited-share").empty


def test_layers_have_mean_error_and_spread(mixed_frames: Frames):
    rows = traces.of_experiment(mixed_frames, "hmt")
    layers = traces.of_layers(rows)
    assert layers.layer.tolist() == list(LAYERS)
    first = rows[rows.layer == LAYERS[0]].value
    assert layers.value[0] == pytest.approx(first.mean())
    assert layers.spread[0] == pytest.approx(first.std())
    assert layers.error[0] == pytest.approx(TRACES[LAYERS[0]] / 20)


def test_scores_per_bit_width_are_left_alone():
    rows = pd.DataFrame(
        {"position": [0, 0], "layer": ["a", "a"], "operand": ["layer", "layer"]}
        | {"bits": [None, 2], "value": [1.0, 5.0], "standard_error": [0.1, 0.1]}
    )
    assert traces.of_layers(rows).value.tolist() == [1.0]
