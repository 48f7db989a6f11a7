"""Plugins: what is installed says of itself what it is."""

import inspect
from importlib import import_module
from importlib.metadata import entry_points

from bitswitch.plugins import facts, registry

from .texts import fields, literal, said, table

CARD = ("source", "fidelity", "storage", "licence", "left_open", "deviations", "missing")


def methods() -> str:
    """Return the card of every method."""
    found = {name: facts.card(name) for name in registry.names("methods")}
    rows = [
        (
            f"[`{name}`](#{name})",
            *(card[key] for key in ("title", "fidelity", "storage", "licence")),
        )
        for name, card in found.items()
    ]
    overview = table(("method", "title", "fidelity", "stored", "licence of the original"), rows)
    return "\n".join([overview, *map(_method, found)])


def _method(name: str) -> str:
    """Return the section of one method."""
    card = facts.card(name)
    about = [
        (key.replace("_", " "), card[key].replace("_", "\\_")) for key in CARD if card.get(key)
    ]
    parts = [f"## {name}\n", f"**{card['title']}.** {_about('methods', name)}\n"]
    parts += [
        table(("", ""), about),
        _options("methods", name),
        _recipes(card["published_recipes"]),
    ]
    return "\n".join(parts)


def _recipes(recipes: dict[str, dict[str, dict[str, object]]]) -> str:
    """Return what ``preset: published-recipe`` takes, by dataset."""
    rows = []
    for dataset, recipe in recipes.items():
        values = {**recipe["training"], **recipe["options"]}
        rows.append((f"`{dataset}`", ", ".join(f"{key} {literal(values[key])}" for key in values)))
    return table(("dataset", "published recipe"), rows)


def searches() -> str:
    """Return searches."""
    return _sections("searches")


def sensitivities() -> str:
    """Return sensitivities."""
    return _sections("sensitivities")


def networks_and_datasets() -> str:
    """Return networks and datasets."""
    parts = ["## Networks\n"]
    parts += [_section("models", name, "###") for name in registry.names("models")]
    parts += ["## Datasets\n"]
    parts += [_section("datasets", name, "###") for name in registry.names("datasets")]
    return "\n".join(parts)


def tables_and_figures() -> str:
    """Return kinds of tables and figures."""
    parts = []
    for group in registry.REPORT_GROUPS:
        points = sorted(entry_points(group=f"bitswitch.{group}"), key=lambda point: point.name)
        rows = [(f"`{point.name}`", _of_module(point.load(), point.module)) for point in points]
        parts += [f"## {group.capitalize()}\n", table((group.removesuffix("s"), "shows"), rows)]
    return "\n".join(parts)


def _of_module(kind: object, module: str) -> str:
    """Return what a figure is called, or what the module of a table says of it."""
    title = getattr(kind, "title", None)
    text = title or inspect.getdoc(import_module(module)) or ""
    return said(str(text)).partition("\n\n")[0]


def _sections(group: str) -> str:
    return "\n".join([*(_section(group, name, "##") for name in registry.names(group))])


def _section(group: str, name: str, level: str) -> str:
    return "\n".join([f"{level} {name}\n", _about(group, name) + "\n", _options(group, name)])


def _about(group: str, name: str) -> str:
    """Return what a plugin's class says of itself."""
    return said(vars(registry.load(group, name)).get("__doc__"))


def _options(group: str, name: str) -> str:
    """Return the table of a plugin's options."""
    return fields(registry.load(group, name).Options) or "No options.\n"
