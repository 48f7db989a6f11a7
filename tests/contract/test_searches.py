"""What every installed search promises."""

import pytest

from bitswitch.plugins import registry
from bitswitch.testing.searches import SEARCH_CHECKS

SHORT = {"dnas": {"epochs": 3}, "haq": {"hidden": 32}}
"""Options for searches whose defaults take long on any network."""


@pytest.fixture(params=registry.names("searches"))
def search(request):
    return registry.create("searches", request.param, SHORT.get(request.param, {}))


@pytest.mark.parametrize("check", SEARCH_CHECKS, ids=lambda check: check.__name__)
def test_contract(check, search):
    check(search)


def test_it_names_its_source(search):
    assert search.source
