"""Commands on policy files."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bitswitch.cli.arguments import AsJson, Data, Device, Results
from bitswitch.cli.policy_text import difference, shown
from bitswitch.contracts.metric import Metric
from bitswitch.results.policies import PolicyFile

PolicyPath = Annotated[Path, typer.Argument(metavar="FILE", help="A policy, *.json.")]


def show(file: PolicyPath) -> None:
    """Print the bit-widths of every layer in FILE, and what they cost."""
    typer.echo(shown(PolicyFile.read(file)))


def diff(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help="A policy, *.json.")],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="Another one.")],
) -> None:
    """Print the layers in which two policies differ, and the costs of both."""
    typer.echo(difference(PolicyFile.read(first), PolicyFile.read(second)))


def evaluate(
    file: PolicyPath,
    split: Annotated[str, typer.Option(help="held_out or test.")] = "held_out",
    recalibration: Annotated[
        int, typer.Option(min=0, help="Training batches that batch norms see before.")
    ] = 0,
    results: Results = Path("results"),
    data: Data = Path("data"),
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Test the network that FILE is of, at its bit-widths; choose by held_out, report test."""
    from bitswitch import stages

    found = stages.evaluate_policy(
        PolicyFile.read(file), split, results, data, device, recalibration
    )
    values = (f"{each['title']} {Metric.of(each).text(each['value'])}" for each in found)
    by_name = {each["name"]: each["value"] for each in found}
    typer.echo(json.dumps(by_name) if as_json else f"{', '.join(values)} on {split}")


def plot(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Policies of one network.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Written as .pdf and .png.")],
) -> None:
    """Draw the bit-widths of every layer, one row per FILE."""
    from bitswitch.report.figures import drawing, policy_figure

    with drawing.style():
        drawn = policy_figure.draw([PolicyFile.read(file) for file in files])
        for path in drawing.save(drawn, out):
            typer.echo(path)
