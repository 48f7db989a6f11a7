"""What every installed method promises; a new one is tested by being installed."""

import pytest

from bitswitch.plugins import registry
from bitswitch.testing import CHECKS, Subject
from bitswitch.testing.learning import compiled_is_eager

SHORT = {"ptmq": {"iterations": 2}}
"""Options for methods whose defaults take minutes on any network."""


@pytest.fixture(scope="module", params=registry.names("methods"))
def subject(request):
    return Subject.of(request.param, SHORT.get(request.param))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check, subject):
    check(subject)


@pytest.mark.long
@pytest.mark.slow
def test_compiled_code_is_eager(subject):
    compiled_is_eager(subject, backend="inductor")
