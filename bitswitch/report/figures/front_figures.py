"""Figure 5 and a part of Figure 4: quality of sub-nets against their average bit-width."""

from typing import TYPE_CHECKING

import pandas as pd

from bitswitch.contracts.metric import Metric
from bitswitch.report.analysis import subnets
from bitswitch.report.analysis.origin import stamp
from bitswitch.report.analysis.values import LOST
from bitswitch.report.collect.frames import Frames
from bitswitch.report.collect.headline import label
from bitswitch.report.figures import drawing
from bitswitch.report.figures.kind import PerNetwork

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOTHING = "not run yet"

CAPTION = (
    "One panel per bit set. Points: mean over training seeds of the sub-nets found within one "
    "budget, at their mean bit-width; bars: one standard deviation, where there are several seeds; "
    "hollow: all layers at the widest bit-width within a budget, tested in the same way; crosses: "
    "some seeds collapsed to guessing and are left out of the mean; where all did, nothing is "
    "drawn. Both trainings are searched alike. All values are of the test split, which nothing is "
    "chosen on."
)

_COLUMNS = ["average_bits", "headline"]


def draw_fronts(frames: Frames, experiment: str, network: str) -> "Figure":
    """Return Figure 5: one panel per bit set of a network, a line per variant.

    Variants of the same title look the same.
    """
    recipe = frames.suite.experiments[experiment]
    found, uniform = searched_and_uniform(frames, experiment, network)
    title = frames.suite.networks[network].title
    data = frames.data_of(found.run)
    figure = drawing.figure(2.7, f"{title} · {stamp(frames, data)}")
    titles = list(dict.fromkeys(variant.title for variant in recipe.variants.values()))
    bitsets = list(dict.fromkeys(found.bitset)) or [""]
    panels = figure.subplots(1, len(bitsets), squeeze=False)[0]
    for axes, bitset in zip(panels, bitsets, strict=True):
        axes.set_title(bitset)
        for variant, spec in recipe.variants.items():
            front = mean_front(found[(found.bitset == bitset) & (found.variant == variant)])
            ends = uniform[(uniform.bitset == bitset) & (uniform.variant == variant)]
            _draw_front(axes, front, ends, titles.index(spec.title), spec.title)
        _finish(axes, frames.headlines[network].metric)
    handles, labels = panels[0].get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside upper right", ncols=len(labels))
    return figure


def searched_and_uniform(
    frames: Frames, experiment: str, network: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the sub-nets of one network, and the same networks at single bit-widths."""
    found = subnets.of_experiment(frames, experiment)
    uniform = subnets.uniform_of(frames, experiment)
    return found[found.network == network], uniform[uniform.network == network]


def mean_front(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mean bit-width and headline per budget, and the deviation over training seeds.

    Args:
        rows: Sub-nets of one variant, one row per seed, search seed and budget.

    Returns:
        Columns average_bits, headline, std and lost, the number of sub-nets that are guessing and
        so left out of the mean; by rising bit-width.
    """
    by_seed = rows.dropna(subset=_COLUMNS).groupby(["budget", "seed"])[_COLUMNS].mean()
    groups = by_seed.astype(float).groupby("budget")
    lost = rows.headline_status.isin(LOST).groupby(rows.budget).sum()
    front = groups.mean().assign(std=groups.headline.std().fillna(0.0), lost=lost)
    return front.sort_values("average_bits", ignore_index=True)


def draw_subnets(axes: "Axes", found: pd.DataFrame, uniform: pd.DataFrame, metric: Metric) -> None:
    """Draw every sub-net of some networks as a point, single bit-widths as labelled ones.

    Args:
        axes: To draw on.
        found: Sub-nets, see ``subnets.of_experiment``.
        uniform: Networks at single bit-widths, see ``subnets.uniform_of``.
        metric: The headline.
    """
    points = found.dropna(subset=_COLUMNS)
    lost = int(found.headline_status.isin(LOST).sum())
    if points.empty:
        drawing.say_nothing_to_show(axes, f"all {lost} are guessing" if lost else NOTHING)
        return
    if lost:
        axes.plot([], [], " ", label=f"{lost} guessing, not drawn")
    axes.plot(
        points.average_bits, points.headline, "o", color="#0072B2", alpha=0.6, label="sub-nets"
    )
    axes.plot(
        uniform.bits, uniform.headline, "s", mfc="none", color="#D55E00", label="one bit-width"
    )
    axes.set(xlabel="average weight bits", ylabel=f"test {label(metric)}")
    axes.legend(loc="lower right")


def _draw_front(
    axes: "Axes", front: pd.DataFrame, uniform: pd.DataFrame, position: int, title: str
) -> None:
    """Draw one variant."""
    look, symbol = f"C{position}", "os^Dv"[position % 5]
    if len(front):
        axes.errorbar(
            front.average_bits,
            front.headline,
            yerr=front["std"],
            color=look,
            marker=symbol,
            capsize=2,
            elinewidth=0.8,
            label=title,
        )
    means = uniform.groupby("bits").headline.mean()
    axes.plot(means.index, means, symbol, color=look, mfc="none")
    survivors = front[front.lost > 0]
    ends = means[uniform.status.isin(LOST).groupby(uniform.bits).any()]
    axes.plot(survivors.average_bits, survivors.headline, "x", color="#333333", zorder=3)
    axes.plot(ends.index, ends, "x", color="#333333", zorder=3)


def _finish(axes: "Axes", metric: Metric) -> None:
    """Label a panel, or say that it is empty."""
    if axes.has_data():
        axes.locator_params(axis="x", nbins=6)
        axes.set(xlabel="average weight bits", ylabel=f"test {label(metric)}")
    else:
        drawing.say_nothing_to_show(axes, NOTHING)


KIND = PerNetwork(
    "figure5", "Figure 5: sub-nets of HASB and of uniform sampling", CAPTION, draw_fronts
)
