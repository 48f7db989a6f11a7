"""Deployed networks by their place in a suite, and the sections of tables about them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pandas as pd

from bitswitch.report.analysis.subnets import PLACE
from bitswitch.report.analysis.values import Network, Values
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import DASH, Entry, Footnotes, Group, Line, Section
from bitswitch.report.tables import entries

Groups = Callable[[Network], tuple[Group, ...]]
Lines = Callable[[pd.DataFrame], Iterable[Line]]


def places(frames: Frames, experiment: str) -> pd.DataFrame:
    """Return the networks of an experiment that are deployed: columns ``PLACE`` and run."""
    rows = frames.metrics
    rows = rows[(rows.source == "reproduced") & (rows.experiment == experiment)]
    rows = rows[rows.run.isin(set(frames.deployments.run))]
    return rows[[*PLACE, "run"]].drop_duplicates(ignore_index=True)


def sections(values: Values, groups_of: Groups, lines: Lines) -> Iterator[Section]:
    """Yield one section per network and bit set.

    Args:
        values: Of the experiment.
        groups_of: Columns of a network.
        lines: Gets the places of one variant.
    """
    found = places(values.frames, values.experiment)
    for network in values.networks:
        rows, groups = found[found.network == network.name], groups_of(network)
        for bitset, of_bitset in rows.groupby("bitset", sort=False):
            variants = list(of_bitset.groupby("variant", sort=False))
            listed: list[Line] = []
            for variant, group in variants:
                if len(variants) > 1:
                    title = Entry(values.recipe.variants[str(variant)].title, tone="note", span=1)
                    blank = [Entry()] * (sum(len(one.columns) for one in groups) - 1)
                    listed.append(Line("", "", (title, *blank), rule=True))
                statuses = values.frames.deployments[["run", "status"]].drop_duplicates("run")
                behind = entries.jobs(group.merge(statuses, on="run"), "run", "deployed networks")
                listed += (replace(line, detail=behind) for line in lines(group))
            yield Section(
                f"{network.title}, {bitset}",
                network.data,
                groups,
                tuple(listed),
                network=network.title,
            )


def missing(rows: pd.DataFrame, columns: int, footnotes: Footnotes) -> tuple[Entry, ...]:
    """Return the entries of a line that has no values, with the reason.

    Args:
        rows: Of ``deployments.csv``, none of them complete.
        columns: Number of entries.
        footnotes: Get the reason.
    """
    first = rows.iloc[0]
    known = isinstance(first.diagnosis, str)
    reason = f"{first.status}: {first.diagnosis}" if known else "not run to the end"
    return (Entry(DASH, marks=(footnotes.mark(reason),)), *[Entry()] * (columns - 1))
