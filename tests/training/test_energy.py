import pytest
import torch

from bitswitch.runtime.energy import MeterError
from bitswitch.training import clock, energy
from bitswitch.training.clock import Clock, Instant

CPU = torch.device("cpu")


class Counter:
    """A meter that counts a joule per call."""

    def __init__(self, source="GPU", shared=False, calls=1000):
        self.source, self.shared, self.left = source, shared, calls

    def read(self):
        self.left -= 1
        if self.left < 0:
            raise MeterError("gone")
        return 1.0

    def is_shared(self):
        return self.shared


@pytest.fixture
def metered(monkeypatch):
    """Return a clock whose device has a meter, or an error for one."""

    def metered(meter):
        def find(device):
            if isinstance(meter, str):
                raise MeterError(meter)
            return meter

        monkeypatch.setattr(energy, "meter_of", find)
        return Clock(CPU, Instant.now())

    return metered


def train(clock):
    with clock.phase("train"):
        pass
    return clock.energy.fields()


def test_energy_counts_for_the_phase_in_which_it_was_taken(metered):
    # One joule before training, and one in it.
    assert train(metered(Counter())) == {
        "energy_j": 2.0,
        "train_energy_j": 1.0,
        "energy_source": "GPU",
        "energy_shared": False,
    }


def test_parts_of_a_run_add_up(metered):
    first = metered(Counter(shared=True))
    train(first)
    second = metered(Counter())
    second.load_state_dict(first.state_dict())
    found = train(second)
    assert (found["train_energy_j"], found["energy_j"]) == (2.0, 5.0)
    assert found["energy_shared"]


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("no counter", Counter(), "not known of all parts of the run: no counter"),
        (Counter(), "no counter", "no counter"),
        (Counter("processor packages"), Counter(), "processor packages, then GPU"),
        (Counter(calls=1), Counter(), "not known of all parts of the run: gone"),
    ],
)
def test_a_run_that_was_not_metered_all_along_has_none(metered, before, after, reason):
    first = metered(before)
    train(first)
    second = metered(after)
    second.load_state_dict(first.state_dict())
    assert set(found := train(second)) == {"no_energy"}
    assert reason in found["no_energy"]


def test_a_run_that_an_earlier_version_began_has_none(metered):
    first = metered(Counter())
    state = first.state_dict()
    del state["energy"]
    second = metered(Counter())
    second.load_state_dict(state)
    assert "an earlier version" in train(second)["no_energy"]


def test_a_counter_that_fails_ends_no_run(metered):
    assert train(metered(Counter(calls=1))) == {"no_energy": "gone"}


def test_long_phases_are_read_in_between(metered, monkeypatch):
    counter = Counter()
    running = metered(counter)
    running.keep_up()
    assert counter.left == 1000
    monkeypatch.setattr(clock, "METERED_S", -1.0)
    running.keep_up()
    assert counter.left == 999
