"""What every installed model promises."""

import pytest

from bitswitch import plugins
from bitswitch.checks.models import MODEL_CHECKS

NEEDED = {"timm": {"architecture": "mobilenetv2_050"}}
"""Options without a default."""


@pytest.fixture(scope="module", params=plugins.names("models"))
def model(request):
    return plugins.create("models", request.param, NEEDED.get(request.param, {}))


@pytest.mark.parametrize("check", MODEL_CHECKS, ids=lambda check: check.__name__)
def test_contract(check, model):
    check(model)


def test_it_names_its_source(model):
    assert model.source
