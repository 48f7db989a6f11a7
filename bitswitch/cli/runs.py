"""Commands on suites and runs."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from bitswitch.cli.arguments import (
    LISTED_BY,
    AsJson,
    BegunRun,
    Data,
    Device,
    Results,
    RunName,
    SuiteName,
    find_run,
    load,
    pick,
)
from bitswitch.errors import Interrupted

LINES = "%(asctime)s %(message)s"
"""Of the log on the terminal."""

SHARED = 4
"""Runs on one GPU that a plan compares with one."""

RunsPerGpu = Annotated[int, typer.Option(min=1, help="How many may share a GPU.")]


@contextmanager
def _stages_on(device: str, runs_per_gpu: int) -> Iterator[ModuleType]:
    """Claim ``device``, then import and yield the stages of an experiment; log to the terminal."""
    from bitswitch.runtime.devices import claimed_gpus

    logging.basicConfig(level=logging.INFO, format=LINES)
    with claimed_gpus(device, runs_per_gpu):
        from bitswitch import stages

        yield stages


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the suite: lower case, hyphens.")],
    into: Annotated[Path, typer.Option(help="Folder that is written into.")] = Path(),
) -> None:
    """Start a suite NAME of your own in this folder: Snakefile, settings, a small suite, README."""
    from bitswitch.scaffold.project import new_project

    for path in new_project(name, into):
        typer.echo(path)
    typer.echo("  snakemake --cores 8 all")


def validate(
    suites: Annotated[
        list[str],
        typer.Argument(metavar="SUITE...", help="Names in config/suites/, or .yaml files."),
    ],
) -> None:
    """Expand suites, check every run of them and build their networks; nothing is trained."""
    from bitswitch.planning import downloads, feasibility

    for name in suites:
        suite = load(name)
        feasibility.check(suite)
        entries, skipped = len(suite.cells), len(suite.cells) - len(suite.run_cells)
        about = f"{entries} table entries" + (f" ({skipped} skipped)" if skipped else "")
        typer.echo(f"{suite.name}: {about}, {len(suite.runs)} runs, valid")
        for absence in feasibility.absent(suite).values():
            typer.echo(absence)
        files = downloads.needed(suite)
        if files:
            typer.echo(
                f"fetched by 'bitswitch data prepare --suite {name}', where there is a network:"
            )
            typer.echo(downloads.listed(files))


def plan(
    suite: SuiteName,
    claims: Annotated[
        str | None, typer.Option(metavar="C08,C12", help="Only what these claims need.")
    ] = None,
    cells: Annotated[
        str | None, typer.Option(metavar="table1/resnet8", help="Only what fills these cells.")
    ] = None,
    device: Device = "auto",
    assume: Annotated[
        str | None,
        typer.Option(metavar="h100", help="GPU to model, or a file of `bitswitch bench gpu`."),
    ] = None,
    runs_per_gpu: Annotated[
        int, typer.Option(min=1, help="How many share a modelled GPU, beside one alone.")
    ] = SHARED,
    as_json: AsJson = False,
) -> None:
    """Say what SUITE will cost: runs, steps, time, disk; needs no data, and no GPU."""
    from bitswitch.planning import feasibility
    from bitswitch.planning import plan as planning
    from bitswitch.report.claims import needs
    from bitswitch.suite.parts import part

    loaded = load(suite)
    if claims is not None:
        loaded = needs.restricted(loaded, claims)
    if cells is not None:
        loaded = part(loaded, cells)
    feasibility.check(loaded)
    found = planning.make(loaded, device, assume, runs_per_gpu)
    typer.echo(json.dumps(found.as_json()) if as_json else planning.render(found))


def train(
    suite: SuiteName,
    run: RunName,
    results: Results = Path("results"),
    data: Data = Path("data"),
    device: Device = "auto",
    threads: Annotated[int, typer.Option(min=1, help="Processor threads of torch.")] = 1,
    runs_per_gpu: RunsPerGpu = 1,
    processes: Annotated[
        int, typer.Option(min=1, help="Share every batch; on GPUs, each has its own.")
    ] = 1,
) -> None:
    """Train and evaluate one run of SUITE, or continue it where it was interrupted."""
    from bitswitch.runtime.launch import is_rank, leads, local_device

    loaded = load(suite)
    spec = pick(loaded.runs, run, f"Suite '{loaded.name}' has no run")
    if is_rank():
        logging.basicConfig(level=logging.INFO if leads() else logging.WARNING, format=LINES)
        from bitswitch import stages

        stages.train(spec, results, data, device=local_device(device), threads=threads)
        return
    with _requeued_when_warned(results / "runs" / spec.run_id):
        if processes > 1:
            _launch(processes, device, runs_per_gpu)
        else:
            with _stages_on(device, runs_per_gpu) as here:
                typer.echo(here.train(spec, results, data, device=device, threads=threads))


@contextmanager
def _requeued_when_warned(folder: Path) -> Iterator[None]:
    """Let a run that a cluster's warning stops go on later, if it got on before.

    Args:
        folder: Of the run.
    """
    from bitswitch.runtime import allocation, progress

    before = progress.status(folder).step
    try:
        yield
    except (Interrupted, typer.Exit) as end:
        warned = end.exit_code == 128 + allocation.WARNING
        if warned and allocation.is_own() and progress.status(folder).step > before:
            typer.echo(allocation.requeue(), err=True)
        raise


def _launch(processes: int, device: str, runs_per_gpu: int) -> None:
    """Run this very command in several processes, each with a GPU of its own if there are any."""
    from bitswitch.cli.client import SOCKET_VARIABLE
    from bitswitch.runtime.devices import claimed_gpus
    from bitswitch.runtime.launch import launch

    logging.basicConfig(level=logging.INFO, format=LINES)
    with claimed_gpus(device, runs_per_gpu, count=processes):
        code = launch(processes, sys.argv[1:], left_out=(SOCKET_VARIABLE,))
    if code:
        raise typer.Exit(code)


def score(
    suite: SuiteName,
    sensitivity: Annotated[str, typer.Argument(metavar="SENSITIVITY", help=LISTED_BY)],
    results: Results = Path("results"),
    data: Data = Path("data"),
    device: Device = "auto",
    runs_per_gpu: RunsPerGpu = 1,
) -> None:
    """Score the layers of a network of SUITE: how much each suffers from low bit-widths."""
    loaded = load(suite)
    spec = pick(loaded.sensitivities, sensitivity, f"Suite '{loaded.name}' has no sensitivity")
    with _stages_on(device, runs_per_gpu) as stages:
        typer.echo(stages.score(spec, results, data, device=device))


def search(
    suite: SuiteName,
    search: Annotated[str, typer.Argument(metavar="SEARCH", help=LISTED_BY)],
    results: Results = Path("results"),
    data: Data = Path("data"),
    device: Device = "auto",
    runs_per_gpu: RunsPerGpu = 1,
) -> None:
    """Find a bit-width for every layer of a trained network of SUITE, within budgets."""
    loaded = load(suite)
    spec = pick(loaded.searches, search, f"Suite '{loaded.name}' has no search")
    with _stages_on(device, runs_per_gpu) as stages:
        typer.echo(stages.search(spec, results, data, device=device))


def deploy(
    suite: SuiteName,
    run: RunName,
    results: Results = Path("results"),
    data: Data = Path("data"),
    device: Device = "auto",
    runs_per_gpu: RunsPerGpu = 1,
) -> None:
    """Export the trained network of RUN as integers, and compare it with training."""
    loaded = load(suite)
    spec = pick(loaded.deployments, run, f"Suite '{loaded.name}' deploys no run")
    with _stages_on(device, runs_per_gpu) as stages:
        typer.echo(stages.deploy(spec, results, data, device=device))


def show(run: BegunRun, results: Results = Path("results")) -> None:
    """Print the spec of RUN and how far it is."""
    from bitswitch.runtime import progress

    folder = find_run(results, run)
    typer.echo((folder / "spec.yaml").read_text())
    typer.echo(progress.status(folder).line())


def watch(suite: SuiteName, results: Results = Path("results")) -> None:
    """Show how far the runs of SUITE are until they are done; on a terminal, live."""
    from bitswitch.runtime import progress

    progress.watch(list(load(suite).runs), results / "runs")
