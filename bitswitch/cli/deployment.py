"""Commands on deployed models."""

from pathlib import Path
from typing import Annotated

import typer

from bitswitch.cli.arguments import BegunRun, Results, find_run


def export(
    run: BegunRun,
    output: Annotated[Path, typer.Option("--output", "-o", help="File, .safetensors.")],
    results: Results = Path("results"),
) -> None:
    """Write the trained network of RUN as integers that switch their bit-width at run time."""
    from bitswitch.plugins.resolve import read_run

    spec = read_run(find_run(results, run) / "spec.yaml")
    from bitswitch import stages

    stages.export(spec, results, output)
    widths = ", ".join(map(str, spec.bitset))
    compared = f"weights at {widths} bits as in training, bit for bit"
    typer.echo(f"{output}: {output.stat().st_size} bytes; {compared}")
