"""The command line, from the commands themselves."""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from typer.main import get_command

from bitswitch.cli.app import app

from .texts import said, table


def part() -> str:
    """Return the part."""
    panels: dict[str, list[str]] = {}
    for name, command in get_command(app).commands.items():
        panel = command.rich_help_panel or "Other"
        panels.setdefault(panel, []).extend(_sections(command, f"bitswitch {name}"))
    parts = []
    for panel, sections in panels.items():
        parts += [f"## {panel}\n", *sections]
    return "\n".join(parts)


def _sections(command: Any, path: str) -> Iterator[str]:
    """Yield the section of a command, or those of all commands of a group."""
    inner = getattr(command, "commands", {})
    if not inner:
        yield _section(command, path)
    for name, below in inner.items():
        yield from _sections(below, f"{path} {name}")


def _section(command: Any, path: str) -> str:
    """Return what one command does, and what it takes."""
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    usage = " ".join([path, *(["[OPTIONS]"] if options else []), *map(_usage, arguments)])
    rows = [(f"`{_words(one)}`", _default(one), said(one.help)) for one in (*arguments, *options)]
    return (
        f"### {path}\n\n{said(command.help)}\n\n```text\n{usage}\n```\n\n"
        f"{table(('argument or option', 'default', 'meaning'), rows)}"
    )


def _usage(argument: Any) -> str:
    words = _words(argument).removesuffix("...")
    several = "..." if argument.nargs != 1 else ""
    return words + several if argument.required else f"[{words}]{several}"


def _words(parameter: Any) -> str:
    """Return what a user types for it."""
    value = parameter.metavar or parameter.name.upper()
    if parameter.param_type_name == "argument":
        return str(value)
    flags = ", ".join((*parameter.opts, *parameter.secondary_opts))
    return flags if parameter.is_flag else f"{flags} {value}"


def _default(parameter: Any) -> str:
    """Return the default; whatever says nothing is left out."""
    value = parameter.default
    if parameter.required:
        return "required"
    shown = isinstance(value, str | int | float | PurePath) and value not in ("", False)
    return f"`{value}`" if shown else ""
