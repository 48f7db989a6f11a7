"""Commands that look at the installation."""

import json

import typer

from bitswitch.cli.arguments import AsJson, check_name


def plugins(as_json: AsJson = False) -> None:
    """List the installed methods, models and datasets."""
    from bitswitch import plugins as installed

    found = {group: installed.names(group) for group in installed.GROUPS}
    lines = (f"{group}: {', '.join(names)}" for group, names in found.items())
    typer.echo(json.dumps(found) if as_json else "\n".join(lines))


def schema() -> None:
    """Print the JSON schema of a suite file."""
    from bitswitch.schema import suite_schema

    typer.echo(json.dumps(suite_schema(), indent=1))


def bench(name: str, as_json: AsJson = False) -> None:
    """Measure NAME on this machine: ratios, side by side in one run."""
    from bitswitch.bench import BENCHMARKS

    check_name(name, BENCHMARKS, "There is no benchmark")
    measured = BENCHMARKS[name]()
    typer.echo(json.dumps(measured.as_json()) if as_json else measured.render())
