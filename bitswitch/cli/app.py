"""All commands of the command line, in groups."""

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from bitswitch.cli import (
    claims,
    datasets,
    deployment,
    generate,
    harness,
    infer,
    old_names,
    policies,
    reports,
    results,
    runs,
    tools,
)
from bitswitch.cli import plugins as own
from bitswitch.errors import BitswitchError

app = typer.Typer(
    help="Reproduce results on adaptive bit switching of quantized networks.",
    epilog="Begin in an empty folder: bitswitch init my-suite",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data = typer.Typer(help="Make, download, verify and pack datasets.", no_args_is_help=True)
policy = typer.Typer(help="Look at policies: a bit-width per layer.", no_args_is_help=True)
travelling = typer.Typer(
    help="Results that travel: pack, merge and verify them.", no_args_is_help=True
)
plugins = typer.Typer(help="List, show and check plugins; start your own.", no_args_is_help=True)
new = typer.Typer(
    help="Start a package of your own: a method, a sensitivity or a search.", no_args_is_help=True
)

PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Run": (
        *(runs.init, tools.doctor, runs.plan, runs.validate),
        *(runs.train, runs.score, runs.search),
    ),
    "Look": (
        *(claims.claims, results.compare, runs.watch, runs.show),
        *(reports.collect, reports.table, reports.figure, reports.report, reports.errata),
    ),
    "Extend": (tools.schema, tools.bench),
    "Deploy": (runs.deploy, deployment.export, infer.infer, generate.generate, harness.lm_eval),
    "Data": (),
}
"""Commands by the part of the help that lists them."""
GROUPS: dict[typer.Typer, tuple[Callable[..., None], ...]] = {
    policy: (policies.show, policies.diff, policies.evaluate, policies.plot),
    travelling: (results.pack, results.merge, results.verify),
    plugins: (own.list_, own.show, own.check),
    new: (own.method, own.sensitivity, own.search),
    data: (datasets.prepare, datasets.check, datasets.pack, datasets.fake),
}
"""Commands of each noun that has several."""


def name_of(command: Callable[..., None]) -> str:
    """Return what a user types for ``command``."""
    return command.__name__.rstrip("_").replace("_", "-")


for panel, commands in PANELS.items():
    for command in commands:
        app.command(name_of(command), rich_help_panel=panel)(command)
for group, commands in GROUPS.items():
    for command in commands:
        group.command(name_of(command))(command)
app.add_typer(policy, name="policy", rich_help_panel="Look")
app.add_typer(travelling, name="results", rich_help_panel="Look")
app.add_typer(plugins, name="plugins", rich_help_panel="Extend")
app.add_typer(data, name="data", rich_help_panel="Data")
plugins.add_typer(new, name="new")


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(version("bitswitch"))
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_tell_version, help="Print the version."),
    ] = False,
) -> None:
    """Take the options of every command; ``main`` looks for ``--debug`` itself."""


def main() -> None:
    """Run the command line; an expected error is one message and its exit code."""
    try:
        app(old_names.renamed(sys.argv[1:]))
    except (BitswitchError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"error: {error}", err=True)
        sys.exit(getattr(error, "exit_code", 1))
