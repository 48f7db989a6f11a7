"""Errors as scripts see them."""

import re
from collections import Counter
from pathlib import Path

from bitswitch import errors
from bitswitch.errors import BitswitchError, Interrupted, SpecError

TOP = Path(__file__).parents[1]


def errors_with_codes():
    """Return the classes right below the base, a signal that stops a run left out."""
    kinds = [kind for kind in BitswitchError.__subclasses__() if kind is not Interrupted]
    return [kind for kind in kinds if kind.__module__ == errors.__name__]


def test_every_error_class_has_an_exit_code_of_its_own():
    own = Counter(vars(kind).get("exit_code") for kind in errors_with_codes())
    assert None not in own
    assert set(own.values()) == {1}
    assert BitswitchError.exit_code not in own
    assert max(own) < 128
    assert SpecError.exit_code == 2  # as of a command that is used wrongly


def test_the_documented_exit_codes_are_those_of_the_classes():
    text = (TOP / "docs/reference/commands.md").read_text()
    listed = [int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]
    assert listed == sorted({kind.exit_code for kind in errors_with_codes()} | {1})
