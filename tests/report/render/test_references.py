"""Tests of ``bitswitch.report.render.references``."""

import re

import pytest

from bitswitch.report.render import references
from bitswitch.report.render.assets import asset

KEYS = re.findall(r"^@\w+\{(\w+),", asset("references.bib").read_text(), re.MULTILINE)


@pytest.mark.parametrize("key", KEYS)
def test_every_entry_becomes_a_citation_without_tex(key: str):
    text = references.citation(key)
    assert references.is_known(key)
    assert re.search(r", (16|19|20)\d\d$", text), text
    assert not set(text) & set("{}\\$")
    assert not text.startswith(",")


def test_authors_title_and_place_are_there():
    assert references.citation("jin2020adabits") == (
        "Jin, Yang and Liao, AdaBits: Neural Network Quantization with Adaptive Bit-Widths, "
        "Conference on Computer Vision and Pattern Recognition, 2020"
    )
    assert references.citation("huang2025nearly").startswith("Huang et al., Nearly Lossless")


def test_an_unknown_key_stands_for_itself():
    assert not references.is_known("nobody2030nothing")
    assert references.citation("nobody2030nothing") == "nobody2030nothing"
