"""Commands for what is installed, and for those who add to it."""

import json
from inspect import getdoc
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bitswitch.cli.arguments import AsJson, check_name, pick
from bitswitch.errors import SpecError
from bitswitch.plugins import facts, registry
from bitswitch.text import aligned

if TYPE_CHECKING:
    from bitswitch.contracts.plugin import Plugin

GIST = ("fidelity", "storage", "licence")
DETAILS = ("left_open", "deviations", "missing")
EVERY_GROUP = (*registry.GROUPS, *registry.REPORT_GROUPS)


def list_(as_json: AsJson = False) -> None:
    """List the installed plugins; of methods, the gist of what is known."""
    found = {group: registry.names(group) for group in EVERY_GROUP}
    typer.echo(json.dumps(found) if as_json else "\n".join(_listing(found)))


PluginName = Annotated[str, typer.Argument(metavar="NAME", help="An installed plugin.")]
OfGroup = Annotated[str, typer.Option(help="Where several groups have a NAME: which.")]


def show(name: PluginName, group: OfGroup = "", as_json: AsJson = False) -> None:
    """Show what is known of the plugin NAME: source and options; of a method, card and recipes."""
    group = _group_of(name, group, "options")
    about = facts.card(name) if group == "methods" else _about(registry.load(group, name))
    options = registry.resolve(group, name, {})
    typer.echo(json.dumps(about | {"options": options}) if as_json else _card(about, options))


def check(name: PluginName, group: OfGroup = "", as_json: AsJson = False) -> None:
    """Check that the installed plugin NAME keeps its contract; a method takes about a minute."""
    group = _group_of(name, group, "checks")
    from bitswitch.testing.run import run

    results = []
    for result in run(group, name):
        results.append(result)
        if not as_json:
            typer.echo(_verdict(result.sentence, result.problem, result.remedy))
    failed = sum(result.problem is not None for result in results)
    if as_json:
        checks = [result._asdict() for result in results]
        typer.echo(json.dumps({"plugin": name, "passed": not failed, "checks": checks}))
    else:
        typer.echo(f"{name}: {len(results)} checks, {failed or 'none'} failed")
    if failed:
        raise typer.Exit(1)


NewName = Annotated[str, typer.Argument(metavar="NAME", help="Lower case, hyphens.")]
Into = Annotated[Path, typer.Option(help="Folder that the package is written into.")]


def method(name: NewName, into: Into = Path()) -> None:
    """Write a small installable package with a working method NAME, to be changed."""
    _new("method", name, into)


def sensitivity(name: NewName, into: Into = Path()) -> None:
    """Write a small installable package with a working sensitivity NAME, to be changed."""
    _new("sensitivity", name, into)


def search(name: NewName, into: Into = Path()) -> None:
    """Write a small installable package with a working search NAME, to be changed."""
    _new("search", name, into)


def _new(kind: Literal["method", "sensitivity", "search"], name: str, into: Path) -> None:
    from bitswitch.scaffold.package import new_package

    folder = new_package(kind, name, into)
    typer.echo(f"{folder}\n  pip install --editable {folder}\n  bitswitch plugins check {name}")


def _group_of(name: str, chosen: str, lacking: str) -> str:
    """Return the group that has a plugin ``name``: the chosen one, else the first, methods first.

    Args:
        name: Of the plugin.
        chosen: Group; empty: any.
        lacking: What tables and figures have none of, for the message.

    Raises:
        SpecError: there is no such group, none has it, or it is a table or figure.
    """
    if chosen:
        check_name(chosen, EVERY_GROUP, "There is no group of plugins")
    groups: dict[str, str] = {}
    for group in [chosen] if chosen else EVERY_GROUP:
        groups |= {one: group for one in registry.names(group) if one not in groups}
    group = pick(groups, name, f"There is no plugin{f' among the {chosen}' if chosen else ''}")
    if group in registry.REPORT_GROUPS:
        raise SpecError(
            f"'{name}' is one of the {group}, which have no {lacking} of their own.\n"
            "  Name it in a suite: bitswitch validate SUITE"
        )
    return group


def _about(plugin: "type[Plugin]") -> dict[str, Any]:
    """Return what is known of a plugin without a card."""
    return {"title": (getdoc(plugin) or plugin.__name__).splitlines()[0], "source": plugin.source}


def _listing(found: dict[str, list[str]]) -> list[str]:
    """Return a line for each method with the gist of its card, and one for each other group."""
    rows = [("method", "title", "fidelity", "storage", "licence of the original", "source")]
    for name in found["methods"]:
        card = facts.card(name)
        rows.append((name, *(card[key] for key in ("title", *GIST, "source"))))
    others = [f"{group}: {', '.join(names)}" for group, names in found.items()]
    more = "bitswitch plugins show NAME shows the options of one, and all that its card says."
    return [*aligned(rows), "", *others[1:], "", more]


def _card(card: dict[str, Any], options: dict[str, Any]) -> str:
    """Return a card, or what stands for it, as text: then options and recipes one per line."""
    entries = {"source": card["source"]}
    entries |= {key.replace("_", " "): card[key] for key in (*GIST, *DETAILS) if card.get(key)}
    lines = [
        fill(f"{key}: {value}", 100, initial_indent="  ", subsequent_indent="    ")
        for key, value in entries.items()
    ]
    recipes = {
        f"recipe for {dataset}": {**recipe["training"], **recipe["options"]}
        for dataset, recipe in card.get("published_recipes", {}).items()
    }
    for title, values in {"options": options, **recipes}.items():
        lines += [f"  {title}:", *(f"    {key}: {value}" for key, value in values.items())]
    return "\n".join([card["title"], *lines])


def _verdict(sentence: str, problem: str | None, remedy: str | None) -> str:
    """Return one line on a check that passed, three on one that did not."""
    if problem is None:
        return f"passed  {sentence}"
    return f"FAILED  {sentence}\n          {problem}\n          {remedy}"
