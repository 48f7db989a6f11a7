"""Markdown for what docstrings, types and options say."""

import inspect
import json
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import griffe
from pydantic import BaseModel

from bitswitch.quant.granularity import Granularity

BOUNDS = {
    "exclusiveMinimum": "> {}",
    "minimum": "≥ {}",
    "exclusiveMaximum": "< {}",
    "maximum": "≤ {}",
}


def said(text: str | None) -> str:
    """Return a docstring as Markdown: literals in single backticks, no roles."""
    return re.sub(r"``(.+?)``", r"`\1`", inspect.cleandoc(text or ""))


def in_cell(text: str) -> str:
    """Return Markdown as it may stand in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a table of Markdown, or nothing without rows."""
    if not rows:
        return ""
    lines = [head, ("-",) * len(head), *(tuple(map(in_cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def literal(value: object) -> str:
    """Return a value as a suite writes it."""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def kind(schema: dict[str, Any], linked: frozenset[str] = frozenset()) -> str:
    """Return what a JSON schema allows, in words.

    Args:
        schema: Of one value.
        linked: Names of definitions that have a section of the page.
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if name in linked else name
    for key in ("anyOf", "oneOf"):
        if key in schema:
            parts = [kind(part, linked) for part in schema[key]]
            return " or ".join(dict.fromkeys(parts))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    return _plain(schema, linked)


def _plain(schema: dict[str, Any], linked: frozenset[str]) -> str:
    """Return what ``kind`` does of a schema that names its type."""
    name = schema.get("type", "any")
    if name == "array":
        items = schema.get("items") or (schema.get("prefixItems") or [{}])[0]
        return f"list of {kind(items, linked)}"
    if name == "object":
        values = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
        inner = next((one for one in values if isinstance(one, dict)), None)
        return "mapping" if inner is None else f"{kind(inner, linked)}, by name"
    words = {"boolean": "`true`, `false`", "null": "`null`"}.get(name, name)
    bounds = [text.format(schema[key]) for key, text in BOUNDS.items() if key in schema]
    return " ".join([words, *([", ".join(bounds)] if bounds else [])])


def fields(model: type[BaseModel], linked: frozenset[str] = frozenset()) -> str:
    """Return a table of the keys of a model: values, default, meaning."""
    schema = model.model_json_schema()
    return keys(schema, model, linked)


def keys(schema: dict[str, Any], model: type[BaseModel], linked: frozenset[str]) -> str:
    """Return a table of the properties of ``schema``, which is one of ``model``."""
    meanings = documented(model)
    required = set(schema.get("required", ()))
    rows = []
    for name, about in schema.get("properties", {}).items():
        described = any(key in about for key in ("default", "$ref")) or name not in required
        default = literal(_default(model, name, about)) if "default" in about else ""
        rows.append(
            (
                f"`{name}`",
                kind(about, linked),
                default if described else "required",
                meanings.get(name) or said(about.get("description")),
            )
        )
    return table(("key", "value", "default", "meaning"), rows)


def _default(model: type[BaseModel], name: str, about: dict[str, Any]) -> object:
    """Return a default as a suite writes it: the schema knows no words for granularities."""
    field = model.model_fields.get(name)
    is_word = field is not None and isinstance(field.default, Granularity)
    return str(field.default) if is_word else about["default"]


@cache
def _read(module: str) -> griffe.Module:
    """Return what stands in a module, without importing what it imports."""
    path = Path(str(import_module(module).__file__))
    return griffe.visit(module, path, path.read_text())


def documented(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstrings below the fields of a model and of those that it extends."""
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if not (issubclass(cls, BaseModel) and cls.__module__.startswith("bitswitch")):
            continue
        for name, member in _read(cls.__module__)[cls.__qualname__].members.items():
            if name in model.model_fields and member.docstring:
                found[name] = said(member.docstring.value)
    return found
