"""The command line: one verb per stage; a command imports what is heavy when it runs."""

import json
import sys
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bitswitch.errors import BitswitchError, SpecError, hint

if TYPE_CHECKING:
    from bitswitch.spec import Choice, RunSpec, Suite

app = typer.Typer(
    help="Reproduce results on adaptive bit switching of quantized networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Make, download and verify datasets.", no_args_is_help=True)
app.add_typer(data_app, name="data")

SuiteName = Annotated[
    str, typer.Argument(metavar="SUITE", help="Name in config/suites/, or a .yaml file.")
]
Data = Annotated[Path, typer.Option(help="Folder of the datasets.")]
Results = Annotated[Path, typer.Option(help="Folder of runs and reports.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.callback()
def options(
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
) -> None:
    """Take the options of every command; ``main`` looks for ``--debug`` itself."""


@app.command()
def validate(suites: Annotated[list[str], typer.Argument(metavar="SUITE...")]) -> None:
    """Expand suites and check every run of them; nothing is computed."""
    for name in suites:
        suite = _suite(name)
        typer.echo(f"{suite.name}: {len(suite.cells)} table entries, {len(suite.runs)} runs, valid")


@app.command()
def plan(
    suite: SuiteName,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Say what SUITE will cost: runs, steps, time, disk; needs no data."""
    from bitswitch import plan as planning

    found = planning.make(_suite(suite), device)
    typer.echo(json.dumps(found.as_json()) if as_json else planning.render(found))


@app.command()
def train(
    suite: SuiteName,
    run: Annotated[str, typer.Argument(help="Run identifier, as `bitswitch plan` lists them.")],
    results: Results = Path("results"),
    data: Data = Path("data"),
    device: Device = "auto",
    threads: Annotated[int, typer.Option(min=1, help="Processor threads of torch.")] = 1,
    runs_per_gpu: Annotated[int, typer.Option(min=1, help="How many may share a GPU.")] = 1,
) -> None:
    """Train and evaluate one run of SUITE, or continue it where it was interrupted."""
    from bitswitch.devices import claimed_gpu

    spec = _run(_suite(suite), run)
    with claimed_gpu(device, runs_per_gpu):
        from bitswitch import stages

        typer.echo(stages.train(spec, results, data, device=device, threads=threads))


@app.command()
def collect(
    suite: SuiteName,
    results: Results = Path("results"),
    allow_mixed: Annotated[bool, typer.Option(help="Take runs of different code.")] = False,
) -> None:
    """Put what the runs of SUITE say into tidy tables, published numbers beside them."""
    from bitswitch.report import collect as step

    typer.echo(step.write(_suite(suite), results, allow_mixed))


@app.command()
def table(suite: SuiteName, name: str, results: Results = Path("results")) -> None:
    """Make the table NAME of SUITE, for LaTeX and HTML."""
    from bitswitch.report import tables

    loaded = _suite(suite)
    _check_name(name, tables.names(loaded), f"Suite '{loaded.name}' has no table")
    tables.write(name, results / loaded.name)


@app.command()
def figure(suite: SuiteName, name: str, results: Results = Path("results")) -> None:
    """Draw the figure NAME of SUITE, as PDF and PNG."""
    from bitswitch.report import figures

    loaded = _suite(suite)
    _check_name(name, figures.names(loaded), f"Suite '{loaded.name}' has no figure")
    figures.write(name, results / loaded.name)


class Document(StrEnum):
    """What ``report`` makes."""

    ALL = "all"
    HTML = "html"
    PDF = "pdf"


@app.command()
def report(
    suite: SuiteName,
    document: Annotated[Document, typer.Argument(help="all: tables and figures too.")] = (
        Document.ALL
    ),
    results: Results = Path("results"),
    allow_mixed: Annotated[bool, typer.Option(help="Take runs of different code.")] = False,
) -> None:
    """Build the report of SUITE from the runs that are there; the others become dashes."""
    from bitswitch.report import collect, figures, html, pdf, tables

    loaded = _suite(suite)
    folder = results / loaded.name
    if document is Document.ALL:
        collect.write(loaded, results, allow_mixed)
        for name in tables.names(loaded):
            tables.write(name, folder)
        for name in figures.names(loaded):
            figures.write(name, folder)
    if document is not Document.PDF:
        typer.echo(html.write(loaded, folder))
    if document is not Document.HTML:
        typer.echo(pdf.write(loaded, folder))


@app.command()
def errata(path: Path = Path("docs/errata.md")) -> None:
    """Write what the printed numbers of the paper themselves get wrong, computed from them."""
    from bitswitch.report import errata as step

    step.write(path)
    typer.echo(path)


@app.command()
def show(run: str, results: Results = Path("results")) -> None:
    """Print the spec of RUN and how far it is."""
    from bitswitch import progress

    folder = results / "runs" / run
    if not (folder / "spec.yaml").is_file():
        known = sorted(path.name for path in (results / "runs").glob("*"))
        raise SpecError(f"There is no run '{run}' in {results / 'runs'}.{hint(run, known)}")
    typer.echo((folder / "spec.yaml").read_text())
    typer.echo(progress.status(folder).line())


@app.command()
def watch(suite: SuiteName, results: Results = Path("results")) -> None:
    """Show how far the runs of SUITE are until they are done; on a terminal, live."""
    from bitswitch import progress

    progress.watch(list(_suite(suite).runs), results / "runs")


@app.command()
def plugins(as_json: AsJson = False) -> None:
    """List the installed methods, models and datasets."""
    from bitswitch import plugins as installed

    found = {group: installed.names(group) for group in installed.GROUPS}
    lines = (f"{group}: {', '.join(names)}" for group, names in found.items())
    typer.echo(json.dumps(found) if as_json else "\n".join(lines))


@app.command()
def bench(name: str, as_json: AsJson = False) -> None:
    """Measure NAME on this machine: ratios, side by side in one run."""
    from bitswitch.bench import BENCHMARKS

    if name not in BENCHMARKS:
        raise SpecError(
            f"There is no benchmark '{name}'.{hint(name, BENCHMARKS)}\n"
            f"  known: {', '.join(BENCHMARKS)}"
        )
    measured = BENCHMARKS[name]()
    typer.echo(json.dumps(measured.as_json()) if as_json else measured.render())


DatasetName = Annotated[str, typer.Argument(help="An installed dataset, or one of the suite's.")]
OfSuite = Annotated[str, typer.Option("--suite", help="Take the datasets of this suite.")]


@data_app.command()
def prepare(
    dataset: DatasetName = "",
    suite: OfSuite = "",
    data: Data = Path("data"),
    facts: Annotated[Path | None, typer.Option(help="Where to write what was found.")] = None,
) -> None:
    """Make or download DATASET, or all datasets of a suite, then check them."""
    from bitswitch import stages

    chosen = _datasets(dataset, suite)
    for choice in chosen.values():
        stages.prepare(choice, data)
    _report_facts(chosen, data, facts)


@data_app.command()
def check(dataset: DatasetName = "", suite: OfSuite = "", data: Data = Path("data")) -> None:
    """Verify layout, classes and counts of the same, before any time is spent."""
    _report_facts(_datasets(dataset, suite), data, None)


def _report_facts(chosen: "dict[str, Choice]", data: Path, path: Path | None) -> None:
    """Check datasets, print what was found, and write it to ``path``."""
    from bitswitch import plugins as installed
    from bitswitch.records import write_json

    found: dict[str, dict[str, str]] = {}
    for name, choice in chosen.items():
        found[name] = installed.create("datasets", choice.name, choice.options).check(data)
        typer.echo(f"{name}: " + ", ".join(f"{key} {value}" for key, value in found[name].items()))
    if path is not None:
        write_json(path, found)


def _suite(name: str) -> "Suite":
    """Return the suite ``name``."""
    from bitswitch.spec import load_suite, suite_path

    return load_suite(suite_path(name))


def _run(suite: "Suite", name: str) -> "RunSpec":
    """Return the run ``name`` of ``suite``."""
    run: RunSpec = _pick(suite.runs, name, f"Suite '{suite.name}' has no run")
    return run


def _datasets(name: str, suite_name: str) -> "dict[str, Choice]":
    """Return datasets by identifier: of a suite all or one, else an installed one as it is."""
    from bitswitch.spec import Choice

    if not suite_name:
        if not name:
            raise SpecError("Name a dataset, e.g. 'digits', or a suite with --suite.")
        return {name: Choice(name=name).resolved("datasets")}
    suite = _suite(suite_name)
    key = {choice.name: key for key, choice in suite.datasets.items()}.get(name, name)
    if not key:
        return suite.datasets
    return {key: _pick(suite.datasets, key, f"Suite '{suite.name}' has no dataset")}


def _pick(known: dict[str, Any], name: str, problem: str) -> Any:
    """Return ``known[name]``."""
    _check_name(name, known, problem)
    return known[name]


def _check_name(name: str, known: Collection[str], problem: str) -> None:
    """Raise unless ``name`` is one of ``known``.

    Raises:
        SpecError: it is not; the message starts with ``problem``.
    """
    if name not in known:
        raise SpecError(
            f"{problem} '{name}'.{hint(name, known)}\n"
            f"  it has: {', '.join(known) or 'none'}\n"
            f"  was the suite edited since?"
        )


def main() -> None:
    """Run the command line; an expected error is one message and its exit code."""
    try:
        app()
    except (BitswitchError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"error: {error}", err=True)
        sys.exit(getattr(error, "exit_code", 1))
