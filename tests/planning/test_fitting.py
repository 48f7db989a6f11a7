"""What does not fit a GPU, and what lets it."""

import pytest

from bitswitch.planning.fitting import RESERVED, too_large
from bitswitch.planning.memory import training_bytes
from bitswitch.runtime import cache

GPU = "Some GPU"


class Suite:
    """As far as it is read."""

    def __init__(self, *runs):
        self.runs = dict(enumerate(runs))


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", tmp_path)


def said(run, memory, runs_per_gpu=1):
    return too_large(Suite(run), memory + RESERVED, GPU, runs_per_gpu)


def test_what_fits_needs_no_word(tiny_run):
    assert said(tiny_run(), training_bytes(tiny_run())) == []


def test_what_does_not_fit_is_named_with_what_lets_it(tiny_run):
    run, half = tiny_run(batch_size=64), tiny_run(batch_size=64, accumulate=2)
    (sentence,) = said(run, training_bytes(half))
    assert sentence.startswith("resnet8 on digits, batch 64, needs 0.0 GiB at least")
    assert f"{GPU} has" in sentence
    assert sentence.endswith("training.accumulate: 2, or --processes 2, a GPU each")
    (sentence,) = said(run, training_bytes(half) - 1)
    assert sentence.endswith("training.accumulate: 4, or --processes 4, a GPU each")


def test_what_never_fits_says_so(tiny_run):
    (sentence,) = said(tiny_run(), 1000)
    assert sentence.endswith("not even one example at a time fits; take a GPU with more memory")


def test_how_many_runs_share_a_gpu_is_limited_by_memory(tiny_run):
    run = tiny_run()
    (sentence,) = said(run, 2.5 * training_bytes(run), runs_per_gpu=4)
    assert sentence.endswith(f"2 runs share {GPU}, not 4")
    assert said(run, 4 * training_bytes(run), runs_per_gpu=4) == []
