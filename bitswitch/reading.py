"""Read what people write: YAML with messages that name the place and the nearest valid key."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bitswitch.errors import SpecError, hint
from bitswitch.types import Strict

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where it is there: ten times as fast."""


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``changes`` laid over it, mappings merged key by key.

    >>> merge({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}})
    {'a': {'b': 1, 'c': 3}}
    """
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = merge(old, value)
        merged[key] = value
    return merged


class explained:  # noqa: N801  (a context manager reads as a verb)
    """Turn pydantic's errors into one ``SpecError`` that names the place and the nearest key."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ValidationError):
            lines = [_explain(problem) for problem in error.errors()]
            raise SpecError(f"{self.where} cannot be used:\n" + "\n".join(lines)) from None
        if isinstance(error, SpecError):
            raise SpecError(f"{self.where}: {error}") from None


def _explain(problem: Any) -> str:
    """Return one line for one pydantic problem."""
    place = ".".join(str(part) for part in problem["loc"])
    text = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        key = str(problem["loc"][-1])
        elsewhere = (known for known in _known_keys(Strict) if known != key)
        return f"  {place}: unknown key.{hint(key, elsewhere)}"
    if problem["type"] == "literal_error":
        return f"  {place}: {text}, not {problem['input']!r}.{_literal_hint(problem)}"
    return f"  {place}: {text}" if place else f"  {text}"


def _known_keys(model: type[Strict]) -> Iterator[str]:
    """Yield the keys of ``model`` and of what derives from it, but for options of plugins.

    Which plugins have been imported is chance, and their options are checked elsewhere.
    """
    yield from model.model_fields
    for derived in model.__subclasses__():
        if not derived.__name__.endswith("Options"):
            yield from _known_keys(derived)


def _literal_hint(problem: Any) -> str:
    """Return a hint at the nearest of the values that are allowed."""
    expected = problem["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
    return hint(problem["input"], expected)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file.

    Raises:
        SpecError: the file is missing or no YAML.
    """
    try:
        return yaml.load(path.read_text(), Loader=_LOADER)  # a safe loader, either way
    except FileNotFoundError:
        near = hint(path.stem, (item.stem for item in path.parent.glob("*.yaml")))
        raise SpecError(f"There is no file {path}.{near}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"{path} cannot be read: {error}") from None
