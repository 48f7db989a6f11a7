"""Run all checks of one plugin, and say of each how it went."""

import inspect
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bitswitch.plugins import registry
from bitswitch.testing.datasets import DATASET_CHECKS
from bitswitch.testing.failure import CheckFailed
from bitswitch.testing.methods import CHECKS
from bitswitch.testing.models import MODEL_CHECKS
from bitswitch.testing.searches import SEARCH_CHECKS
from bitswitch.testing.sensitivities import SENSITIVITY_CHECKS
from bitswitch.testing.subject import Subject

SUITES: dict[str, tuple[Callable[[Any], None], ...]] = {
    "methods": CHECKS,
    "models": MODEL_CHECKS,
    "datasets": DATASET_CHECKS,
    "sensitivities": SENSITIVITY_CHECKS,
    "searches": SEARCH_CHECKS,
}
"""Checks by group."""


class Result(NamedTuple):
    """How one check went."""

    check: str
    """Name of its function."""
    sentence: str
    """What holds if it passed."""
    problem: str | None = None
    """None: it passed."""
    remedy: str | None = None
    """What to do about the problem."""


def run(group: str, name: str) -> Iterator[Result]:
    """Check the installed plugin ``name`` of ``group``; results come one by one.

    Raises:
        UnknownPluginError: it is not installed.
        PluginError: it cannot be imported, or is no plugin of that group.
        SpecError: it needs options.
    """
    folder = Path(inspect.getfile(registry.load(group, name))).parent
    try:
        subject = Subject.of(name) if group == "methods" else registry.create(group, name, {})
    except CheckFailed as failed:
        yield Result("of", "It accepts a set of bit-widths.", failed.problem, failed.remedy)
        return
    for check in SUITES[group]:
        yield _result(check, subject, folder)


def _result(check: Callable[[Any], None], subject: Any, folder: Path) -> Result:
    """Return how ``check`` goes; ``folder`` holds the plugin's code."""
    sentence = (check.__doc__ or "").splitlines()[0]
    try:
        check(subject)
    except CheckFailed as failed:
        return Result(check.__name__, sentence, failed.problem, failed.remedy)
    except Exception as error:
        place = _place(error, folder)
        problem = f"{type(error).__name__}: {error} ({place})"
        remedy = "Mend what raises this; the package's own test shows the whole traceback."
        return Result(check.__name__, sentence, problem, remedy)
    return Result(check.__name__, sentence)


def _place(error: Exception, folder: Path) -> str:
    """Return file and line of the plugin that led to ``error``; else where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    frame = (own or frames)[-1]
    return f"{frame.filename}:{frame.lineno}"
