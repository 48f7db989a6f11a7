"""Every example runs, says what it is for, and together they use the whole public API."""

import re
import runpy
from pathlib import Path

import pytest

import bitswitch as bs

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SCRIPTS = {file.stem: file for file in sorted(EXAMPLES.glob("*.py"))}

LINES = {
    "costs": r"wide, then narrow: \d+ MBitOps, .* 5 bits on average",
    "deploy": r"switching leaves no trace: True",
    "errors": r"UnknownPluginError\n .* Did you mean 'double-rounding'\?",
    "own_method": r"Blended, batch norms shared: layers 1, 4, 7\n",
    "own_search": r"No policy has average-bits of at most 1\.5",
    "own_sensitivity": r"  2: 8 bits 0\.\d+, 4 bits \d\.\d+, 2 bits \d\.\d+",
    "own_task": r"8 bits, 128 examples: both right \d+\.\d %",
    "quantizers": r"4-bit codes equal those rounded from 8-bit ones: True",
    "switch": r"one network for \{8,4,2\}, Top-1 of 200 images",
}
"""A line that each of them prints."""


def test_every_example_is_run():
    assert SCRIPTS.keys() == LINES.keys()


@pytest.mark.parametrize("name", LINES)
def test_an_example_prints_what_it_is_for(name, capsys):
    runpy.run_path(str(SCRIPTS[name]), run_name="__main__")
    assert re.search(LINES[name], capsys.readouterr().out)


def test_examples_use_every_public_name():
    used = {n for file in SCRIPTS.values() for n in re.findall(r"\bbs\.(\w+)", file.read_text())}
    assert set(bs.__all__) - used == set()


def test_examples_are_listed():
    listed = re.findall(r"\[`(\w+)\.py`\]\((\w+)\.py\)", (EXAMPLES / "README.md").read_text())
    assert {(name, name) for name in SCRIPTS} == set(listed)


@pytest.mark.parametrize("name", LINES)
def test_an_example_says_what_it_shows(name):
    assert SCRIPTS[name].read_text().startswith('"""')
