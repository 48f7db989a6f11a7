"""What every installed sensitivity promises."""

import pytest

from bitswitch import plugins
from bitswitch.checks.sensitivities import SENSITIVITY_CHECKS


@pytest.fixture(params=plugins.names("sensitivities"))
def sensitivity(request):
    return plugins.create(
        "sensitivities", request.param, plugins.resolve("sensitivities", request.param, {})
    )


@pytest.mark.parametrize("check", SENSITIVITY_CHECKS, ids=lambda check: check.__name__)
def test_contract(check, sensitivity):
    check(sensitivity)


def test_it_names_its_source(sensitivity):
    assert sensitivity.source
