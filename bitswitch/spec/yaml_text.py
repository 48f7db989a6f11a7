"""YAML as people write it here: plain values, every key once, bounded in size and depth.

Values mean what YAML 1.2 says: ``no`` and ``off`` are words, ``1e-3`` is a number, a date is text.
"""

import re
from math import isfinite
from typing import Any, ClassVar, NamedTuple

import yaml

from bitswitch.errors import SpecError, shown
from bitswitch.text import unreadable

MOST_BYTES = 2**20
"""Of a file; the largest that comes with the package has 25 KB."""
MOST_VALUES = 100_000
"""Of a file, aliases written out."""
DEEPEST = 50
"""Lists and mappings within each other, aliases written out."""

_TAG = "tag:yaml.org,2002:"
_NUMBER = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)"
_FLOAT = re.compile(
    rf"^(?:{_NUMBER}(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_PLAIN = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+", "-+0123456789"),
    "float": (_FLOAT, "-+.0123456789"),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "merge": ("<<", "<"),
}
"""How each kind of plain value looks, and how it starts; everything else is text."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml's where it is there: ten times as fast."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


class _Dumper(yaml.SafeDumper):
    """Quotes what any YAML would take for something else than text."""


for _kind, (_look, _starts) in _PLAIN.items():
    _pattern = _look if isinstance(_look, re.Pattern) else re.compile(f"^(?:{_look})$")
    _Loader.add_implicit_resolver(_TAG + _kind, _pattern, list(_starts))
_Loader.add_constructor(_TAG + "int", lambda loader, node: int(loader.construct_scalar(node)))
_Loader.add_constructor(_TAG + "float", lambda loader, node: float(loader.construct_scalar(node)))
_Dumper.add_implicit_resolver(_TAG + "float", _FLOAT, list("-+.0123456789"))


def parse(text: str) -> Any:
    """Return the value that ``text`` holds.

    Raises:
        SpecError: it is too large or too deep, holds a key twice, or a value of another kind.
        YAMLError: it is no YAML.
    """
    _check_extent(text)
    loader = _Loader(text)
    node = loader.get_single_node()
    if node is None:
        return None
    _check_values(node, "", set())
    return loader.construct_document(node)


def dump(content: Any) -> str:
    """Return JSON-like ``content`` as YAML that ``parse`` reads back."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Extent(NamedTuple):
    """How much a list or mapping holds."""

    anchor: str | None
    values: int
    depth: int


def _check_extent(text: str) -> None:
    """Raise unless ``text`` stays within bounds when all aliases are written out.

    Only events are looked at, one after the other: nothing is built.
    """
    opened: list[_Extent] = []
    done: dict[str, _Extent] = {}
    values = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before, depth = opened.pop()
            closed = _Extent(anchor, values - before, depth + 1)
            _deepen(opened, closed.depth)
            if anchor is not None:
                done[anchor] = closed
        elif isinstance(event, yaml.NodeEvent):
            _check_plain(event)
            alias = _meant(event, opened, done)
            values += alias.values
            _deepen(opened, alias.depth)
            _check_bounds(event, values, len(opened) + alias.depth)
            if isinstance(event, yaml.CollectionStartEvent):
                opened.append(_Extent(event.anchor, values - 1, 0))
            elif event.anchor is not None and not isinstance(event, yaml.AliasEvent):
                done[event.anchor] = alias


def _meant(event: Any, opened: list[_Extent], done: dict[str, _Extent]) -> _Extent:
    """Return the extent of what an event stands for: one value, or what its alias names."""
    if not isinstance(event, yaml.AliasEvent):
        return _Extent(None, 1, 0)
    if any(one.anchor == event.anchor for one in opened):
        raise SpecError(f"{_line(event)}: '*{event.anchor}' stands within what it refers to")
    return done.get(
        str(event.anchor), _Extent(None, 1, 0)
    )  # an unknown one is the parser's to refuse


def _deepen(opened: list[_Extent], depth: int) -> None:
    """Let the innermost open collection be at least ``depth`` deep."""
    if opened and opened[-1].depth < depth:
        opened[-1] = opened[-1]._replace(depth=depth)


def _check_bounds(event: Any, values: int, depth: int) -> None:
    if values > MOST_VALUES:
        raise SpecError(f"{_line(event)}: more than {MOST_VALUES:,} values, aliases written out")
    if depth > DEEPEST:
        raise SpecError(f"{_line(event)}: more than {DEEPEST} lists and mappings in each other")


def _check_plain(event: Any) -> None:
    """Raise if a value says of itself of which type it is."""
    tag = getattr(event, "tag", None)
    if tag is not None:
        raise SpecError(f"{_line(event)}: tag '{shown(tag)}' is not read: write the plain value")


def _check_values(node: Any, place: str, seen: set[int]) -> None:
    """Raise unless every key stands once, and every number and text can be used."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        _check_keys(node, place)
        for key, value in node.value:
            _check_values(value, _below(place, key.value), seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _check_values(value, _below(place, index), seen)
    else:
        problem = _problem_of(node.tag, node.value)
        if problem:
            raise SpecError(f"{_line(node)}: {shown(place) or 'the file'}: {problem}")


def _below(place: str, key: object) -> str:
    return f"{place}.{shown(key, 40)}".lstrip(".")


def _check_keys(node: Any, place: str) -> None:
    lines: dict[str, str] = {}
    within = f" of {shown(place)}" if place else ""
    for key, _ in node.value:
        name = _name_of(key, within)
        if name in lines:
            raise SpecError(
                f"{_line(key)}: key '{shown(name)}'{within} is there already, in {lines[name]}:\n"
                f"  rename one, or delete it"
            )
        lines[name] = _line(key)


def _name_of(key: Any, within: str) -> str:
    """Return what a key is called; whole numbers are keys too.

    Raises:
        SpecError: it is a list, or a value that is no name.
    """
    if not isinstance(key, yaml.ScalarNode):
        raise SpecError(f"{_line(key)}: a key{within} is a list or mapping; keys are names")
    kind = key.tag.removeprefix(_TAG)
    problem = None if kind == "merge" else _problem_of(key.tag, key.value)
    if problem:
        raise SpecError(f"{_line(key)}: a key{within}: {problem}")
    if kind not in ("str", "int", "merge"):
        raise SpecError(
            f"{_line(key)}: a key{within} is read as {_KINDS[kind]}; keys are names: "
            f'"{key.value or "name"}" in quotes is one'
        )
    return str(int(key.value)) if kind == "int" else str(key.value)


_KINDS = {"bool": "true or false", "float": "a number", "null": "nothing"}

LARGEST = 2**63 - 1
"""Whole number that is read."""


def _problem_of(tag: str, text: str) -> str | None:
    """Return why a value cannot be used, or None."""
    if tag == _TAG + "int" and (len(text) > len(str(LARGEST)) + 1 or abs(int(text)) > LARGEST):
        return f"{shown(text)} is too large a number"
    if tag == _TAG + "float" and not (text[-1] in "0123456789." and isfinite(float(text))):
        return f"{shown(text)} is no finite number"
    if tag == _TAG + "merge":
        return "'<<' is no value: in quotes it is text"
    odd = unreadable(text, allowed="\t\n")
    return odd and f"text holds {odd}"


def _line(event: Any) -> str:
    return f"line {event.start_mark.line + 1}"
