"""What every installed method promises; a new one is tested by being installed."""

import pytest

from bitswitch.plugins import registry
from bitswitch.testing import CHECKS, Subject
from bitswitch.testing.learning import compiled_is_eager

SHORT = {
    "ptmq": {"iterations": 2},
    "quept": {"epochs": 1, "images": 32, "rank": 1},
    "kure": {"evaluations": 12},
    "l1-regularization": {"evaluations": 12},
}
"""Options for methods that search long at the end of training, on any network."""
FEW = {"mbquant": (4, 2)}
"""Bit-widths for methods that have a graph for each, which takes seconds to compile."""


@pytest.fixture(scope="module", params=registry.names("methods"))
def subject(request):
    return Subject.of(request.param, SHORT.get(request.param))


@pytest.mark.parametrize(
    "check",
    [check for check in CHECKS if check is not compiled_is_eager],
    ids=lambda check: check.__name__,
)
def test_contract(check, subject):
    check(subject)


def test_compiled_steps_are_eager(subject):
    few = FEW.get(subject.name)
    compiled_is_eager(subject if few is None else Subject.of(subject.name, None, few))


@pytest.mark.long
@pytest.mark.slow
def test_compiled_code_is_eager(subject):
    compiled_is_eager(subject, backend="inductor")
