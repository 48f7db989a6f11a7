"""Where the numbers of a table or figure come from, as text."""

from collections.abc import Iterable

from bitswitch.report.collect.frames import Frames


def stamp(frames: Frames, data: Iterable[str]) -> str:
    """Return what every table and figure says of its origin."""
    suite = frames.suite
    scale = "embedded data, not the published scale" if suite.data == "embedded" else "full scale"
    names = "; ".join(dict.fromkeys(text for text in data if text))
    return f"suite {suite.name} · {names} · {scale}" if names else f"suite {suite.name} · {scale}"


def network_stamp(frames: Frames, experiment: str, network: str) -> str:
    """Return what a figure of one network in one experiment says of both, and of its origin."""
    rows = frames.metrics
    rows = rows[(rows.experiment == experiment) & (rows.network == network)]
    title = frames.suite.networks[network].title
    return f"{title} · {stamp(frames, frames.data_of(rows.run))}"
