"""All commands of the command line, in groups."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from bitswitch.cli import datasets, deployment, extending, infer, policies, reports, runs, tools
from bitswitch.errors import BitswitchError

app = typer.Typer(
    help="Reproduce results on adaptive bit switching of quantized networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data = typer.Typer(help="Make, download and verify datasets.", no_args_is_help=True)
policy = typer.Typer(help="Look at policies: a bit-width per layer.", no_args_is_help=True)
new = typer.Typer(help="Start a package of your own.", no_args_is_help=True)

COMMANDS: dict[typer.Typer, tuple[Callable[..., None], ...]] = {
    app: (
        runs.plan,
        runs.validate,
        runs.train,
        runs.score,
        runs.search,
        runs.deploy,
        deployment.export,
        infer.infer,
        runs.watch,
        runs.show,
        reports.collect,
        reports.table,
        reports.figure,
        reports.report,
        reports.errata,
        extending.plugins,
        extending.check_plugin,
        tools.schema,
        tools.bench,
    ),
    data: (datasets.prepare, datasets.check),
    policy: (policies.show, policies.diff, policies.evaluate, policies.plot),
    new: (extending.method, extending.sensitivity, extending.search),
}
for group, commands in COMMANDS.items():
    for command in commands:
        group.command()(command)
app.add_typer(data, name="data")
app.add_typer(policy, name="policy")
app.add_typer(new, name="new")


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
) -> None:
    """Take the options of every command; ``main`` looks for ``--debug`` itself."""


def main() -> None:
    """Run the command line; an expected error is one message and its exit code."""
    try:
        app()
    except (BitswitchError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"error: {error}", err=True)
        sys.exit(getattr(error, "exit_code", 1))
