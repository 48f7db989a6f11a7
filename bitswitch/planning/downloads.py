"""Published weights that networks of a suite need and that are not on this machine."""

from collections.abc import Collection, Mapping

from bitswitch.contracts.data import Download
from bitswitch.errors import WeightsError
from bitswitch.plugins import registry
from bitswitch.suite.suite import Suite

PUBLISHED = "imagenet"
"""Value of a model's option ``weights`` that asks for them."""


def needed(suite: Suite, datasets: Collection[str] | None = None) -> dict[str, Download]:
    """Return the files that are to be fetched, by title of the network.

    Args:
        suite: The suite.
        datasets: Identifiers of those that are trained on; None: all.
    """
    found: dict[str, Download] = {}
    for cell in suite.run_cells:
        run, title = cell.run, suite.networks[cell.network].title
        left_out = datasets is not None and run.dataset.identifier not in datasets
        if left_out or title in found or run.model.options.get("weights") != PUBLISHED:
            continue
        file = registry.create("models", run.model.name, run.model.options).download()
        if file is not None:
            found[title] = file
    return found


def fetch(files: Mapping[str, Download]) -> None:
    """Fetch published weights.

    Raises:
        WeightsError: some cannot be had; says of each where it is, and where it goes.
    """
    import torch

    failed, reason = {}, ""
    for title, (url, path) in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), progress=False)
        except (OSError, RuntimeError, ValueError) as error:
            failed[title] = files[title]
            reason = reason or " ".join(str(error).split()) or type(error).__name__
    if failed:
        raise WeightsError(
            f"Published weights cannot be had: {reason}\n"
            f"  Fetch them where there is a network:\n{listed(failed)}"
        )


def listed(files: Mapping[str, Download]) -> str:
    """Return which file goes where, as lines."""
    return "\n".join(f"  {title}: {file}" for title, file in files.items())
