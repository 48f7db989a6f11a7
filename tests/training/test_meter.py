import math

import pytest

from bitswitch.training.meter import EpochMeter
from bitswitch.training.step import PassResult


def test_summary_is_the_mean_over_steps_and_images():
    meter = EpochMeter()
    meter.add(PassResult(4, 1.0, 300.0, mean_gradient=0.2, scale_learning_rate=-0.1), 4)
    meter.add(PassResult(4, 2.0, 100.0, mean_gradient=0.4, scale_learning_rate=0.3), 4)
    assert meter.summary("top1", with_scales=True) == pytest.approx(
        {
            "loss": 1.5,
            "top1": 50.0,
            "scale_learning_rate": 0.1,
            "negative_share": 0.5,
            "mean_gradient": 0.3,
        }
    )


def test_a_network_without_scales_says_nothing_of_them():
    meter = EpochMeter()
    meter.add(PassResult(32, 1.0, 400.0, 0.0, 1e-3), 8)
    assert meter.summary("top1", with_scales=False) == {"loss": 1.0, "top1": 50.0}


def test_a_task_without_a_headline_in_training_says_nothing_of_it():
    meter = EpochMeter()
    meter.add(PassResult(4, 1.0, math.nan, 0.0, 1e-3), 8)
    assert meter.summary("perplexity", with_scales=False) == {"loss": 1.0}
