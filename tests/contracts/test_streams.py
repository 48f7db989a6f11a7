from typing import get_args

import pytest

from bitswitch.contracts.streams import Purpose, Stream

KEYS = {
    ("training", 0): 0,
    ("training", 7): 7,
    ("calibration", 0): -1,
    ("finish", 0): -2,
    ("pretrained check", 0): -2,
    ("sensitivity", 0): -3,
    ("recalibration", 0): -4,
    ("search", 0): -1000,
    ("search", 3): -1003,
}
"""Another key is another order of images, and so another result of every finished run."""


def test_every_purpose_keeps_the_key_that_results_were_made_with():
    assert {stream: Stream(*stream).key for stream in KEYS} == KEYS
    assert {purpose for purpose, _ in KEYS} == set(get_args(Purpose))


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (Stream("training", -1), "'training' has no epoch -1, but any from 0 on"),
        (Stream("calibration", 1), "'calibration' has no epoch 1, but 0 alone"),
        (Stream("testing"), "No stream is for 'testing'; known: training, calibration"),
    ],
)
def test_a_stream_that_is_not_is_refused(stream, message):
    with pytest.raises(ValueError, match=message):
        _ = stream.key
