"""Former names of commands: they work for one version more, with a notice."""

import typer

from bitswitch.plugins import registry

UNTIL = "0.2"
PLUGIN_COMMANDS = ("list", "show", "check", "new")


def renamed(arguments: list[str]) -> list[str]:
    """Return a command line with the present name of its command, and tell of a former one.

    >>> renamed(["plugins", "check", "lsq"])
    ['plugins', 'check', 'lsq']

    Args:
        arguments: What follows the name of the program.
    """
    position = next((i for i, word in enumerate(arguments) if not word.startswith("-")), None)
    if position is None:
        return arguments
    former, *rest = arguments[position:]
    now = _now(former, rest)
    if now != former:
        name = " NAME" if now == "plugins show" else ""
        typer.echo(
            f"note: `bitswitch {former}{name}` is now `bitswitch {now}{name}`; "
            f"the former name works until version {UNTIL}.",
            err=True,
        )
    return [*arguments[:position], *now.split(), *rest]


def _now(command: str, rest: list[str]) -> str:
    """Return the present name of a command that is followed by ``rest``."""
    if command == "plugins" and rest[:1] != ["--help"]:
        named = [word for word in rest if not word.startswith("-")]
        if not named:
            return "plugins list"
        if named[0] not in PLUGIN_COMMANDS and named[0] in registry.names("methods"):
            return "plugins show"
        return command
    return {"check-plugin": "plugins check", "new": "plugins new"}.get(command, command)
