"""Read what people write: YAML with messages that name the place and the nearest valid key."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bitswitch.errors import SpecError, hint, shown
from bitswitch.spec import yaml_text
from bitswitch.text import LONGEST_NAME
from bitswitch.types import Strict

MOST_PROBLEMS = 10
"""A message lists at most this many."""
RENAMED = {
    "arm": "variant",
    "arms": "variants",
    "edge_bits": "first_last_bits",
    "edges": "first_last",
    "faithful": "published-recipe",
    "images": "examples",
    "offsets": "zero_points",
    "per_channel": "weight_granularity: per-channel",
    "reading": "variant",
    "separately": "one_network_per_bitwidth",
}
"""Keys, options and values of before, and what they are called now."""


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
    """Turn pydantic's errors into one ``SpecError`` that names the place and the nearest key.

    A ``SpecError`` that is raised inside stays what it is, and names the place too.
    """

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ValidationError):
            problems = error.errors(include_url=False)
            lines = [_explain(problem) for problem in problems[:MOST_PROBLEMS]]
            if len(problems) > MOST_PROBLEMS:
                lines.append(f"  and {len(problems) - MOST_PROBLEMS} more")
            raise SpecError(f"{self.where} cannot be used:\n" + "\n".join(lines)) from None
        if isinstance(error, SpecError):  # of whichever kind, which callers may tell apart
            error.args = (f"{self.where}: {error}",)


def _explain(problem: Any) -> str:
    """Return one line for one pydantic problem."""
    *within, last = problem["loc"] or ("",)
    place = ".".join(shown(part) for part in problem["loc"])
    text = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        elsewhere = (known for known in _known_keys(Strict) if known != last)
        return f"  {place}: unknown key.{renamed(last) or hint(last, elsewhere)}"
    if problem["type"] == "literal_error":
        wrong = shown(repr(problem["input"]))
        return f"  {place}: {text}, not {wrong}.{_literal_hint(problem)}"
    if last == "[key]":
        where = ".".join(map(shown, within[:-1]))
        return f"  {where}: {_key_problem(problem['input'], text)}"
    if problem["type"] == "missing":
        text = "this key is required"
    if problem["type"] in _SHAPES:
        text = f"{_SHAPES[problem['type']]} is needed, not {shown(repr(problem['input']), 40)}"
    return f"  {place}: {text}" if place else f"  {text}"


_SHAPES = {
    "tuple_type": "a list such as [a, b]",
    "dict_type": "a mapping such as {key: value}",
    "model_type": "a mapping such as {key: value}",
    "model_attributes_type": "a mapping such as {key: value}",
    "string_type": "text",
    "string_pattern_mismatch": "a name of letters, digits, '_', '.' and '-'",
}
"""What is needed, in the words of a YAML file."""


def _key_problem(key: Any, text: str) -> str:
    """Return what is wrong with a name that is a key."""
    if isinstance(key, str):
        return (
            f"the name {shown(repr(key))} is not possible: names are letters, digits, '_', '.' and "
            f"'-', at most {LONGEST_NAME}, a letter or digit first"
        )
    return f'the name {key} is read as a number: write "{key}" in quotes'


def _known_keys(model: type[Strict]) -> Iterator[str]:
    """Yield the keys of ``model`` and of what derives from it, but for options of plugins.

    Which plugins have been imported is chance, and their options are checked elsewhere.
    """
    yield from model.model_fields
    for derived in model.__subclasses__():
        if not derived.__name__.endswith("Options"):
            yield from _known_keys(derived)


def renamed(word: object) -> str:
    """Return what ``word`` is called now, as the end of a message; empty where it was none.

    >>> renamed("arms")
    " It is called 'variants' now."
    """
    now = RENAMED.get(word) if isinstance(word, str) else None
    return f" It is called '{now}' now." if now else ""


def _literal_hint(problem: Any) -> str:
    """Return a hint at the nearest of the values that are allowed."""
    if now := renamed(problem["input"]):
        return now
    expected = problem["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
    return hint(problem["input"], expected)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file.

    Raises:
        SpecError: the file is missing, too large, no YAML, or holds what ``yaml_text`` refuses.
    """
    try:
        return yaml_text.parse(_content(path))
    except FileNotFoundError:
        near = hint(path.stem, (item.stem for item in path.parent.glob("*.yaml")))
        raise SpecError(f"There is no file {path}.{near}") from None
    except UnicodeDecodeError as error:
        raise SpecError(
            f"{path} cannot be read: byte {error.start} is no UTF-8; save it as UTF-8 text"
        ) from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise SpecError(f"{path} cannot be read: {line}{error.problem or error}") from None
    except (SpecError, OSError, yaml.YAMLError) as error:
        raise SpecError(f"{path} cannot be read: {error}") from None


def _content(path: Path) -> str:
    """Return the text of a file; a byte-order mark is left out.

    Raises:
        SpecError: it is no file, or too large.
    """
    if path.exists() and not path.is_file():
        raise SpecError("it is no file")
    with path.open("rb") as file:
        content = file.read(yaml_text.MOST_BYTES + 1)
    if len(content) > yaml_text.MOST_BYTES:
        raise SpecError(f"it has more than {yaml_text.MOST_BYTES >> 20} MiB")
    return content.decode("utf-8-sig")
