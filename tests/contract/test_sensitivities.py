"""What every installed sensitivity promises."""

import pytest

from bitswitch.plugins import registry
from bitswitch.testing.sensitivities import SENSITIVITY_CHECKS


@pytest.fixture(params=registry.names("sensitivities"))
def sensitivity(request):
    return registry.create(
        "sensitivities", request.param, registry.resolve("sensitivities", request.param, {})
    )


@pytest.mark.parametrize("check", SENSITIVITY_CHECKS, ids=lambda check: check.__name__)
def test_contract(check, sensitivity):
    check(sensitivity)


def test_it_names_its_source(sensitivity):
    assert sensitivity.source
