"""Sessions of the interpreter in docstrings, which stand there without a fence, as code."""

import re
from typing import Any

import griffe

SESSION = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)
"""From a prompt to the next empty line."""


def fenced(text: str) -> str:
    """Return a docstring whose sessions are blocks of code."""
    return SESSION.sub(lambda found: f"```pycon\n{found[0]}\n```", text)


class Examples(griffe.Extension):
    """Fences the sessions of every docstring that is read."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of ``obj``."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)
