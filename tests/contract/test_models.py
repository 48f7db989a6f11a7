"""What every installed model promises."""

import pytest

from bitswitch.plugins import registry
from bitswitch.testing.models import MODEL_CHECKS

NEEDED = {
    "timm": {"architecture": "mobilenetv2_050"},
    "llama": {"width": 16, "ffn": 24, "blocks": 2, "heads": 2, "kv_heads": 1, "context": 32},
}
"""Options without a default."""


@pytest.fixture(scope="module", params=registry.names("models"))
def model(request):
    return registry.create("models", request.param, NEEDED.get(request.param, {}))


@pytest.mark.parametrize("check", MODEL_CHECKS, ids=lambda check: check.__name__)
def test_contract(check, model):
    check(model)


def test_it_names_its_source(model):
    assert model.source
