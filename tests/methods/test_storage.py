"""What methods say they must keep, with each of their options."""

import pytest

from bitswitch.errors import EncodingError
from bitswitch.plugins import facts
from bitswitch.testing import CheckFailed, Subject
from bitswitch.testing.deployment import narrow_codes_come_from_the_widest

CODES = [
    ("double-rounding", {"rounding": "shift"}),
    ("adabits", {"scheme": "modified"}),
    ("hasb", {"rounding": "shift"}),
]
FLOATS = [
    ("double-rounding", {"rounding": "single"}),
    ("double-rounding", {"rounding": "floor"}),
    ("adabits", {"scheme": "original"}),
    ("hasb", {"weight_scales": "unshared"}),
    ("hasb", {"rounding": "single"}),
]


@pytest.mark.parametrize(("method", "options"), CODES)
def test_options_that_keep_codes_alone(method, options):
    subject = Subject.of(method, options)
    assert facts.storage(subject.spec) == "codes"
    narrow_codes_come_from_the_widest(subject)


@pytest.mark.parametrize(("method", "options"), FLOATS)
def test_options_that_need_floats(method, options, monkeypatch):
    subject = Subject.of(method, options)
    assert facts.storage(subject.spec) == "floats"
    monkeypatch.setattr(type(subject.method()), "storage", "codes")
    with pytest.raises((CheckFailed, EncodingError), match=r"narrow\(\)|float weights"):
        narrow_codes_come_from_the_widest(subject)
