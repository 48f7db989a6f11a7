"""Notes below a table: how noisy its numbers are, what is claimed, what a network stands in for."""

from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from bitswitch.report.analysis.values import LOST, Network, Sample, Values
from bitswitch.report.collect.headline import ROLE, Headline
from bitswitch.results.records import PAIRED_NOISE


def stand_ins(values: Values) -> Iterator[str]:
    """Yield what networks stand in for, and that they say nothing of it."""
    for network in _known(values):
        spec = values.frames.suite.networks[network.name or ""]
        if spec.stands_for:
            yield f"{network.title} stands in for {spec.stands_for}, and says nothing of it."


def claims(values: Values) -> Iterator[str]:
    """Yield what is said of variants that shall not converge, and what was seen."""
    for variant, spec in values.recipe.variants.items():
        for network in _known(values) if spec.said_to_fail else ():
            samples = values.samples.get(network.name or "", {})
            own = {place.policy: one for place, one in samples.items() if place.variant == variant}
            seen = _seen(own)
            if seen:
                yield (
                    f"Claim: “{spec.title}” does not converge ({spec.said_to_fail}). Seen with "
                    f"{network.title}, on {values.frames.suite.data} data: {seen}."
                )


def _seen(samples: Mapping[str, Sample]) -> str:
    """Return what became of a variant, by bit-width; nothing before it has ended."""
    lost = [bits for bits, one in samples.items() if any(f[0] in LOST for f in one.failed)]
    good = [bits for bits, one in samples.items() if one.values and bits not in lost]
    if good and lost:
        return f"it converges at {_bits(good)}, not at {_bits(lost)}"
    if good:
        return f"it converges at {_bits(good)}; at this scale the claim is not reproduced"
    return f"it does not converge at {_bits(lost)}, as claimed" if lost else ""


def _bits(policies: Iterable[str]) -> str:
    """Return bit-widths as a sentence names them, widest first.

    >>> _bits(["2", "8", "4"])
    '8, 4 and 2 bits'
    """
    widths = sorted(policies, key=int, reverse=True)
    return " and ".join(filter(None, (", ".join(widths[:-1]), widths[-1]))) + " bits"


def noises(values: Values) -> Iterator[str]:
    """Yield how well headlines are known whose noise comes from parts of the test split.

    Of each network the largest, as percentages.
    """
    for network in _known(values):
        headline = values.frames.headlines[network.name or ""]
        if headline.metric.scale != "log":
            continue
        rows = values.rows_of(network.name)
        rows = rows[(rows.split == "test") & (rows.status == "complete")]
        alone = _alone(rows, headline)
        if alone is not None:
            yield alone + _paired(rows, headline) + "."


def _alone(rows: pd.DataFrame, headline: Headline) -> str | None:
    """Return the noise of a single value; None where none is known."""
    own = rows[(rows.role == ROLE) & rows.noise.notna()]
    if own.empty:
        return None
    most = headline.metric.change((own.noise.astype(float) / own.value.astype(float)).max())
    return (
        f"Noise: from the spread of the {headline.example}s of the test split, the 95 % "
        f"half-width of a {headline.measure} is at most {most:.1f} %"
    )


def _paired(rows: pd.DataFrame, headline: Headline) -> str:
    """Return the noise of differences between bit-widths; nothing where none is known."""
    pairs = rows[rows.metric == headline.metric.name + PAIRED_NOISE]
    if pairs.empty:
        return ""
    most = pairs.value.astype(float).groupby(pairs.policy.astype(int)).max().sort_index()
    told = ", ".join(
        f"{headline.metric.change(value):.2g} % at {bits} bits"
        for bits, value in reversed(list(most.items()))
    )
    return (
        f"; of its difference to the widest bit-width of the same network, paired by "
        f"{headline.example}, {told}"
    )


def _known(values: Values) -> list[Network]:
    """Return the networks that the suite runs."""
    return [network for network in values.networks if network.name]
