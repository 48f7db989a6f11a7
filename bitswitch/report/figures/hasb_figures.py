"""Figure 4, and how layers draw bit-widths where the mean or the share of sensitive ones is set."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from bitswitch.methods.hasb.roulette import (
    mean_draw,
    roulette_probabilities,
    sensitive_layers,
    tilt_to,
)
from bitswitch.report.analysis import traces
from bitswitch.report.analysis.origin import network_stamp, stamp
from bitswitch.report.collect.frames import Frames
from bitswitch.report.figures import drawing, front_figures
from bitswitch.report.figures.gradient_figures import NAMED_LAYERS
from bitswitch.report.figures.kind import PerNetwork
from bitswitch.suite.suite import Suite
from bitswitch.suite.variants import VariantSpec
from bitswitch.types import BitSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOTHING = "not run yet"

TITLE_LETTERS = 20
"""In a line of the title of a narrow panel."""

KINDS = {False: ("insensitive", "#56B4E9"), True: ("sensitive", "#D55E00")}
"""Title and colour of layers below the mean sensitivity, and of the others."""

CAPTION = (
    "(a) Probability of each bit-width in the roulette, by kind of layer. (b) Mean Hessian trace "
    "of the full-precision network per layer; bars: one standard error of the estimate; dashed: "
    "the mean over layers, from which a layer counts as sensitive. (c) Every sub-net found for the "
    "supernet, and all layers at the widest bit-width within each budget, on the test split, which "
    "nothing is chosen on; left out where this suite finds none for the network."
)

DRAWS_CAPTION = (
    "Probability with which a layer that draws takes each bit-width, by kind of layer, and the "
    "resulting mean over layers; the share of sensitive layers is that of the first seed's traces."
)


def draw_hasb(frames: Frames, experiment: str, network: str) -> "Figure":
    """Return Figure 4; without its third panel where no such network is searched beside."""
    rows = traces.of_experiment(frames, experiment)
    rows = rows[rows.network == network]
    bitset = _widths(next(iter(rows.bitset), "{8,6,4,2}"))
    title = frames.suite.networks[network].title
    data = frames.data_of(rows.run)
    figure = drawing.figure(2.6, f"{title} · {stamp(frames, data)}")
    widths = (0.8, 1.3, 1) if has_subnets(frames.suite, experiment, network) else (0.8, 2.3)
    left, middle, *right = figure.subplots(1, len(widths), width_ratios=widths)
    _draw_roulette(left, bitset, 0.0)
    left.set(title="(a) roulette", ylabel="probability")
    left.legend(loc="upper left")
    left.set_ylim(top=1.35 * left.get_ylim()[1])
    _draw_traces(middle, traces.of_layers(rows))
    middle.set_title("(b) Hessian trace")
    for axes in right:
        _draw_found(axes, frames, experiment, network)
        axes.set_title("(c) sub-nets")
    return figure


def has_subnets(suite: Suite, experiment: str, network: str) -> bool:
    """Return whether a suite searches a network in what stands beside an experiment."""
    beside = suite.experiments[experiment].beside
    searched = suite.experiments.get(beside.experiment) if beside else None
    return searched is not None and network in searched.networks


def _draw_traces(axes: "Axes", layers: pd.DataFrame) -> None:
    """Draw one point per layer, coloured by whether it counts as sensitive."""
    if layers.empty:
        drawing.say_nothing_to_show(axes, NOTHING)
        return
    sensitive = sensitive_layers(dict(zip(layers.layer, layers.value, strict=True)))
    for kind, (label, look) in KINDS.items():
        rows = layers[layers.layer.isin(sensitive) == kind]
        axes.errorbar(
            rows.position, rows.value, rows.error, color=look, fmt="o", capsize=2, label=label
        )
    axes.axhline(layers.value.mean(), color="#333333", linestyle="--", linewidth=0.8)
    axes.set_ylabel("mean trace")
    if (layers.value > 0).all():
        drawing.set_log_scale(axes)
    if len(layers) <= NAMED_LAYERS:
        axes.set_xticks(layers.position, layers.layer, rotation=90, fontsize=5.5)
    else:
        axes.set_xlabel("layer, from the input")


def _draw_found(axes: "Axes", frames: Frames, experiment: str, network: str) -> None:
    """Draw the sub-nets of the supernet beside an experiment, at its first bit set."""
    beside = frames.suite.experiments[experiment].beside
    if beside is None:
        return
    shown = []
    for rows in front_figures.searched_and_uniform(frames, beside.experiment, network):
        rows = rows[rows.variant == beside.variant]
        shown.append(rows[rows.bitset == next(iter(rows.bitset), None)])
    found, uniform = shown
    front_figures.draw_subnets(axes, found, uniform, frames.headlines[network].metric)


class Draw(NamedTuple):
    """How the layers of one variant draw."""

    title: str
    bitset: BitSet
    share: float
    """Of layers that are sensitive."""
    tilt: float
    """See ``roulette_probabilities``."""

    @property
    def mean(self) -> float:
        """Mean bit-width of all draws."""
        return mean_draw(self.bitset, self.share, self.tilt)


def draws(frames: Frames, experiment: str, network: str) -> list[Draw]:
    """Return how the layers of each variant draw, on one network and its first bit set."""
    recipe = frames.suite.experiments[experiment]
    rows = traces.of_experiment(frames, experiment, "guide")
    rows = rows[rows.network == network]
    rows = rows[rows.seed == rows.seed.min()]
    spec = frames.suite.networks[network]
    found = []
    for key, variant in recipe.variants.items():
        bitset = (variant.bitsets or recipe.bitsets or spec.bitsets)[0]
        own = rows[(rows.variant == key) & rows.bits.isna() & (rows.operand == "layer")]
        scored = dict(zip(own.layer, own.value, strict=False))
        if scored or variant.method.options.get("sampling") == "uniform":
            found.append(_draw_of(variant, bitset, scored))
    return found


def _draw_of(variant: VariantSpec, bitset: BitSet, scored: Mapping[str, float]) -> Draw:
    """Return how the layers of ``variant`` draw."""
    options = variant.method.options
    sensitive: Sequence[str] = []
    if options.get("sampling") != "uniform":
        sensitive = sorted(sensitive_layers(scored, options.get("sensitive_limit", 1.0)))
    share = len(sensitive) / max(len(scored), 1)
    mean = options.get("mean_bits")
    return Draw(variant.title, bitset, share, tilt_to(bitset, share, mean) if mean else 0.0)


def draw_draws(frames: Frames, experiment: str, network: str) -> "Figure":
    """Return one panel per variant: the distribution of its draws."""
    found = draws(frames, experiment, network)
    figure = drawing.figure(2.5, network_stamp(frames, experiment, network))
    panels = figure.subplots(1, max(len(found), 1), sharey=True, squeeze=False)[0]
    if not found:
        drawing.say_nothing_to_show(panels[0], NOTHING)
    for axes, one in zip(panels, found, strict=False):
        _draw_roulette(axes, one.bitset, one.tilt, has_sensitive=one.share > 0)
        about = f"mean {one.mean:.2f} bits\n{100 * one.share:.0f} % sensitive"
        axes.set_title(fill(one.title, TITLE_LETTERS), fontsize=7)
        axes.set_xlabel(f"bit-width\n{about}")
    if found:
        panels[0].set_ylabel("probability")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=len(labels))
    return figure


def _draw_roulette(axes: "Axes", bitset: BitSet, tilt: float, has_sensitive: bool = True) -> None:
    """Draw the probability of every bit-width, one bar per kind of layer, narrowest first."""
    widths = bitset[::-1]
    for side, (kind, (label, look)) in zip((-0.2, 0.2), KINDS.items(), strict=True):
        if kind and not has_sensitive:
            continue
        chances = roulette_probabilities(bitset, kind, tilt)[::-1]
        places = [place + side for place in range(len(widths))]
        axes.bar(places, chances, width=0.38, color=look, label=label)
    axes.set_xticks(range(len(widths)), [str(bits) for bits in widths])
    axes.set_xlabel("bit-width")


def _widths(bitset: str) -> BitSet:
    """Return the bit set that tables print so."""
    return tuple(int(bits) for bits in bitset.strip("{}").split(","))


TRACES = PerNetwork(
    "figure4", "Figure 4: roulette, Hessian traces and sub-nets", CAPTION, draw_hasb, has_subnets
)
DRAWS = PerNetwork(
    "figure-limited-share",
    "Draws with a set mean, and with a limited share of sensitive layers",
    DRAWS_CAPTION,
    draw_draws,
)
