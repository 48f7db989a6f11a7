import os
import signal

import pytest

from bitswitch.errors import Interrupted
from bitswitch.training import interruption
from bitswitch.training.interruption import SIGNALS, StopRequest


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_raised_where_it_is_safe(number):
    with StopRequest() as stop:
        stop.check()
        os.kill(os.getpid(), number)
        with pytest.raises(Interrupted, match=f"Stopped by {number.name}") as caught:
            stop.check()
        assert caught.value.exit_code == 128 + number


def test_the_second_signal_is_not_caught(monkeypatch):
    monkeypatch.setattr(interruption, "ONCE_S", 0.0)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal is signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_that_comes_by_several_ways_is_one():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with StopRequest() as stop:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1):
            os.kill(os.getpid(), number)
        assert stop.signal is signal.SIGTERM


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in SIGNALS]
    with StopRequest():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
