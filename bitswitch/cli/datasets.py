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
    """Make or download DATASET, or all datasets of a suite, then check them.

    Of a suite, published weights of the networks that are trained on them are fetched too.
    """
    from bitswitch import stages
    from bitswitch.planning import downloads

    chosen = _chosen(dataset, suite)
    if suite:
        downloads.fetch(downloads.needed(load(suite), chosen))
    for choice in chosen.values():
        stages.prepare(choice, data)
    _report_facts(chosen, data, facts)


def check(dataset: DatasetName = "", suite: OfSuite = "", data: Data = Path("data")) -> None:
    """Verify the files of DATASET, or of all datasets of a suite, before any time is spent."""
    _report_facts(_chosen(dataset, suite), data, None)


def pack(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="One of image files: imagenet.")
    ],
    form: Annotated[
        str,
        typer.Option(
            help="jpeg-SIDE-QUALITY, raw-SIDE (pixels of the shorter side), or original: the files "
            "as they are."
        ),
    ] = "jpeg-256-90",
    to: Annotated[
        Path | None,
        typer.Option(help="Data folder to pack for; that of the originals if unsaid."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes; one per processor if not said.")
    ] = None,
    data: Data = Path("data"),
) -> None:
    """Pack the images of DATASET in few large files, smaller and faster to read.

    What is interrupted goes on where it was. A suite names other pixels than the original ones:
    `dataset: {name: imagenet, options: {packed: jpeg-256-90}}`.
    """
    from bitswitch.data.packed import form as forms
    from bitswitch.data.packed.folders import Packable
    from bitswitch.plugins import registry as installed
    from bitswitch.runtime.devices import available_cpus

    try:
        parsed = forms.parse(form)
    except ValueError as error:
        raise SpecError(f"--form: {error}") from None
    plugin = installed.create("datasets", dataset, {})
    if not isinstance(plugin, Packable):
        raise SpecError(f"Dataset '{dataset}' cannot be packed; 'imagenet' can.")
    count = available_cpus() if workers is None else workers
    plugin.pack(data, data if to is None else to, parsed, count, typer.echo)


def fake(
    dataset: Annotated[
        str, typer.Argument(metavar="[imagenet|cifar10]", help="What to imitate.")
    ] = "",
    to: Annotated[
        Path | None, typer.Option(help="Data folder to write below; data, for a suite.")
    ] = None,
    suite: Annotated[
        str, typer.Option(help="Make up all that this suite names, weights included: rehearsal.")
    ] = "",
    classes: Annotated[
        int | None, typer.Option(min=1, help="How many; all of the real one if not said.")
    ] = None,
    per_class: Annotated[
        int | None,
        typer.Option(min=1, help="Training images of each; as in the real one if not said."),
    ] = None,
) -> None:
    """Make up random pictures in the files that a real dataset comes in, to try out a machine.

    imagenet: folders of JPEG files by synset, of which most are links where there are many. In full
    it passes `bitswitch data check`. cifar10: pickled batches, whose MD5 is not the published one.
    What is there is never replaced.
    """
    if suite:
        from bitswitch.testing.rehearsal import write_files

        write_files(load(suite), to or Path("data"), typer.echo)
        return
    if to is None or not dataset:
        raise SpecError("Name a dataset and its folder, as in 'imagenet --to data'; or a --suite.")
    from bitswitch.testing.made_up import WRITERS, Amount

    writer = pick(WRITERS, dataset, "There is nothing to imitate called")
    typer.echo(f"made up: {writer(to, Amount(classes, per_class))}")


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
