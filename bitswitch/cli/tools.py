"""Commands that look at the installation."""

import json
from typing import Annotated

import typer

from bitswitch.cli.arguments import AsJson, check_name
from bitswitch.errors import SpecError


def schema() -> None:
    """Print the JSON schema of a suite file."""
    from bitswitch.suite.schema import suite_schema

    typer.echo(json.dumps(suite_schema(), indent=1))


def bench(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="step, startup, ilp, hessian, switch, inference, decoder, loader."
        ),
    ],
    methods: Annotated[
        str,
        typer.Option(help="Of `step`: these methods side by side, 'all' or names with commas."),
    ] = "",
    compiled: Annotated[
        bool,
        typer.Option(
            "--compiled",
            help="With --methods: compiled steps too, each of which compiles for about 40 s.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure NAME on this machine: ratios, side by side in one run."""
    from bitswitch.bench import BENCHMARKS

    check_name(name, BENCHMARKS, "There is no benchmark")
    if methods and name != "step":
        raise SpecError(f"Benchmark '{name}' takes no --methods; 'step' does.")
    if compiled and not methods:
        raise SpecError("--compiled belongs to --methods; without it, compiled steps are measured.")
    if methods:
        from bitswitch.bench.methods import chosen, measure

        measured = measure(chosen(methods), compiled)
    else:
        measured = BENCHMARKS[name]()
    typer.echo(json.dumps(measured.as_json()) if as_json else measured.render())
