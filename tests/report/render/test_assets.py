"""Tests of ``bitswitch.report.render.assets``, and of the files it finds."""

import re
from pathlib import Path

import pytest

from bitswitch.errors import BitswitchError
from bitswitch.report.render.assets import asset

PACKAGE = Path(__file__).parents[3] / "bitswitch"


def test_a_missing_asset_is_named():
    with pytest.raises(BitswitchError, match=r"lacks report/tables/nothing"):
        asset("tables", "nothing")


def test_every_cited_key_is_in_the_references():
    known = set(re.findall(r"@\w+\{(\w+),", asset("references.bib").read_text()))
    cited: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for line in re.findall(r"[Ss]ource\b.*", path.read_text()):
            cited |= set(re.findall(r"\b[a-z]+(?:19|20)\d\d[a-z]+\b", line))
    assert cited
    assert cited <= known
