"""The command that lets lm-eval ask a language model."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bitswitch.cli.arguments import AsJson, Device, Results, bit_widths, find_run
from bitswitch.errors import SpecError
from bitswitch.results.policies import PolicyFile

if TYPE_CHECKING:
    from bitswitch.results.evaluations import Evaluation


def lm_eval(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="Folder in RESULTS/runs, or a model as `bitswitch export` wrote it."
        ),
    ],
    tasks: Annotated[
        str, typer.Option(metavar="NAME,...", help="Tasks, groups or tags of lm-eval.")
    ],
    bits: Annotated[
        str, typer.Option(metavar="BITS,...", help="Bit-widths, one after the other; all.")
    ] = "",
    policy: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="In place of --bits: bit-widths of every layer, *.json."),
    ] = None,
    include_path: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Tasks of your own, YAML files.")
    ] = None,
    limit: Annotated[
        float | None,
        typer.Option(min=0, help="Questions per task, or the share of them below 1; all."),
    ] = None,
    shots: Annotated[
        int | None,
        typer.Option(min=0, help="Solved examples before every question; as each task says."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows that are read at once.")] = 8,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; one below RESULTS/lm-eval.")
    ] = None,
    results: Results = Path("results"),
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Ask a language model the tasks of lm-eval, whose data must be on this machine."""
    if policy is not None and bits:
        raise SpecError("--bits and --policy exclude each other: give one of them.")
    names = list(dict.fromkeys(name.strip() for name in tasks.split(",") if name.strip()))
    if not names:
        raise SpecError("--tasks names no task.\n  List them: lm-eval ls tasks")
    policies = [PolicyFile.read(policy)] if policy else bit_widths(bits)
    from bitswitch.plugins.resolve import read_run

    file = Path(run)
    subject = file if file.is_file() else read_run(find_run(results, run) / "spec.yaml")
    from bitswitch import stages

    path, found = stages.lm_eval(
        subject,
        names,
        policies,
        results=results,
        include=include_path,
        limit=limit,
        shots=shots,
        batch_size=batch_size,
        output=output,
        device=device,
    )
    typer.echo(json.dumps(found.content()) if as_json else "\n".join([*lines(found), str(path)]))


def lines(found: "Evaluation") -> list[str]:
    """Return one line per task and metric, a column per policy; how it was asked before them."""
    asked = (
        f"{name} (version {one.version}, {one.shots} shots, {one.questions} of {one.available} "
        f"questions)"
        for name, one in found.tasks.items()
    )
    head = f"{found.run}, context {found.context}, lm-eval {found.versions['lm_eval']}"
    policies = [one.policy for one in found.answers]
    titles = [f"{one} bits" if isinstance(one, int) else "policy" for one in policies]
    rows = [
        [f"{name} {metric}", *(_text(one.values[name][metric]) for one in found.answers)]
        for name, values in found.answers[0].values.items()
        for metric in values
    ]
    first = max(len(row[0]) for row in rows)
    table = [
        "  ".join([row[0].ljust(first), *(cell.rjust(8) for cell in row[1:])])
        for row in [["", *titles], *rows]
    ]
    return [f"{head}; {'; '.join(asked)}", *table, *_cut(found)]


def _cut(found: "Evaluation") -> list[str]:
    """Return a line on contexts that were too long, if there were any."""
    count = max(one.truncated for one in found.answers)
    return [f"{count} requests were longer than the context: they lost their beginning"][
        : count > 0
    ]


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
