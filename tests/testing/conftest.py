"""Methods of these tests, installed as if packages had brought them."""

from importlib.metadata import EntryPoint
from itertools import count

import pytest

from bitswitch.plugins import registry
from bitswitch.runtime import cache
from bitswitch.testing import Subject
from tests.testing import plain


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Return a function that installs a method class as ``mine``."""
    monkeypatch.setattr(cache, "FOLDER", tmp_path)
    installed, number = registry._installed, count()

    def install(cls):
        attribute = f"Installed{next(number)}"
        monkeypatch.setattr(plain, attribute, cls, raising=False)
        point = EntryPoint("mine", f"{plain.__name__}:{attribute}", "bitswitch.methods")
        extra = {"methods": {"mine": point}}
        monkeypatch.setattr(
            registry, "_installed", lambda group: {**installed(group), **extra.get(group, {})}
        )

    return install


@pytest.fixture
def subject_of(install):
    """Return a function that installs a method class and returns what checks look at."""

    def make(cls):
        install(cls)
        return Subject.of("mine")

    return make
