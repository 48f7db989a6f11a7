"""Where the numbers of a table or figure come from, as text."""

from collections.abc import Iterable

from bitswitch.report.collect.frames import Frames

MIXED = "made by different versions of the code"
SCALES = {
    "embedded": "embedded data, not the published scale",
    "made-up": "a rehearsal on noise, no results",
    "published": "full scale",
}
"""What is said of a suite's numbers by what its data are."""


def stamp(frames: Frames, data: Iterable[str]) -> str:
    """Return what every table and figure says of its origin."""
    suite = frames.suite
    scale = SCALES[suite.data]
    names = "; ".join(dict.fromkeys(text for text in data if text))
    parts = (f"suite {suite.name}", names, scale, MIXED if is_mixed(frames) else "")
    return " · ".join(filter(None, parts))


def is_mixed(frames: Frames) -> bool:
    """Return whether different versions of the code have made jobs of one kind."""
    explored = [*frames.sensitivities.code_hash.dropna(), *frames.policies.code_hash.dropna()]
    made = (frames.runs.code_hash.dropna(), explored, frames.deployments.code_hash.dropna())
    return any(len(set(hashes)) > 1 for hashes in made)


def network_stamp(frames: Frames, experiment: str, network: str) -> str:
    """Return what a figure of one network in one experiment says of both, and of its origin."""
    rows = frames.metrics
    rows = rows[(rows.experiment == experiment) & (rows.network == network)]
    title = frames.suite.networks[network].title
    return f"{title} · {stamp(frames, frames.data_of(rows.run))}"
