"""Commands on datasets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bitswitch.cli.arguments import Data, load, pick
from bitswitch.errors import SpecError
from bitswitch.plugins.resolve import resolved_choice

if TYPE_CHECKING:
    from bitswitch.spec.run import Choice

DatasetName = Annotated[
    str, typer.Argument(metavar="[DATASET]", help="An installed dataset, or one of the suite's.")
]
OfSuite = Annotated[str, typer.Option("--suite", help="Take the datasets of this suite.")]


def prepare(
    dataset: DatasetName = "",
    suite: OfSuite = "",
    data: Data = Path("data"),
    facts: Annotated[Path | None, typer.Option(help="Where to write what was found.")] = None,
) -> None:
    """Make or download DATASET, or all datasets of a suite, then check them."""
    from bitswitch import stages

    chosen = _chosen(dataset, suite)
    for choice in chosen.values():
        stages.prepare(choice, data)
    _report_facts(chosen, data, facts)


def check(dataset: DatasetName = "", suite: OfSuite = "", data: Data = Path("data")) -> None:
    """Verify the files of DATASET, or of all datasets of a suite, before any time is spent."""
    _report_facts(_chosen(dataset, suite), data, None)


def _report_facts(chosen: "dict[str, Choice]", data: Path, path: Path | None) -> None:
    """Check datasets, print what was found, and write it to ``path``."""
    from bitswitch.plugins import registry as installed
    from bitswitch.results.files import write_json

    found: dict[str, dict[str, str]] = {}
    for name, choice in chosen.items():
        found[name] = installed.create("datasets", choice.name, choice.options).check(data)
        typer.echo(f"{name}: " + ", ".join(f"{key} {value}" for key, value in found[name].items()))
    if path is not None:
        write_json(path, found)


def _chosen(name: str, suite_name: str) -> "dict[str, Choice]":
    """Return datasets by identifier: of a suite all or one, else an installed one as it is."""
    from bitswitch.spec.run import Choice

    if not suite_name:
        if not name:
            raise SpecError("Name a dataset, e.g. 'digits', or a suite with --suite.")
        return {name: resolved_choice(Choice(name=name), "datasets")}
    suite = load(suite_name)
    key = {choice.name: key for key, choice in suite.datasets.items()}.get(name, name)
    if not key:
        return suite.datasets
    return {key: pick(suite.datasets, key, f"Suite '{suite.name}' has no dataset")}
