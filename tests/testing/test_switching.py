import pytest
import torch

from bitswitch.testing import CheckFailed
from bitswitch.testing.switching import (
    copies_are_independent,
    state_round_trips,
    switching_away_and_back_changes_nothing,
)
from tests.testing.plain import Plain, PlainQuantizer


class Remembers(PlainQuantizer):
    """Is worth more after every other bit-width."""

    last, factor = None, 1.0

    def forward(self, x, width):
        if self.last not in (None, width.bits):
            self.factor *= 1.01
        self.last = width.bits
        return super().forward(x, width) * self.factor


class UnsavedState(PlainQuantizer):
    """Notes a factor that its constructor knows only the first time."""

    made = 0

    def __init__(self, weight, bitset):
        super().__init__(weight, bitset)
        type(self).made += 1
        self.factor = float(type(self).made)

    def forward(self, x, width):
        return super().forward(x, width) * self.factor


class LateParameter(PlainQuantizer):
    def forward(self, x, width):
        if not hasattr(self, "late"):
            self.late = torch.nn.Parameter(torch.ones(()))
        return super().forward(x, width) * self.late


SHARED = []


class Shares(PlainQuantizer):
    """Uses a parameter of whoever was made first."""

    def forward(self, x, width):
        SHARED.append(self.scale)
        return super().forward(x, width) * SHARED[0].of(8)


def with_quantizer(cls):
    SHARED.clear()
    return type("Broken", (Plain,), {"quantizer": cls})


BROKEN = {
    "history": (switching_away_and_back_changes_nothing, Remembers, "after other bit-widths"),
    "unsaved state": (state_round_trips, UnsavedState, "that loaded the state"),
    "late parameter": (state_round_trips, LateParameter, "cannot be made"),
    "shared parameter": (copies_are_independent, Shares, "changes the output of its copy"),
}


@pytest.mark.parametrize(("check", "quantizer", "message"), BROKEN.values(), ids=BROKEN)
def test_disturbances_are_told(subject_of, check, quantizer, message):
    with pytest.raises(CheckFailed, match=message):
        check(subject_of(with_quantizer(quantizer)))


@pytest.mark.parametrize("check", [case[0] for case in BROKEN.values()])
def test_a_plain_method_passes(subject_of, check):
    check(subject_of(Plain))
