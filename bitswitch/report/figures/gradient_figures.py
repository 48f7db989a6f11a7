"""Figures 3 and 7 to 12: gradients of quantization scales, training with and without ALRS."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bitswitch.report.analysis.origin import stamp
from bitswitch.report.collect.frames import Frames
from bitswitch.report.collect.headline import Headline, label
from bitswitch.report.figures import drawing
from bitswitch.report.figures.kind import Drawing, DrawNetwork, FigureKind, PerNetwork
from bitswitch.spec.run import Choice
from bitswitch.suite.suite import Suite
from bitswitch.suite.variants import VariantSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED_LAYERS = 24
"""Up to so many layers are named on the axis; more are counted."""

OPERANDS = {"weight": "weight scales", "activation": "activation scales"}

NOTHING = "not run yet"

PER_LAYER = (
    "Mean magnitude of the gradient of the loss by each quantization scale, of {row}, "
    "averaged over the steps of all epochs and over seeds; shaded: one standard deviation up."
)

NUMBERS = {
    ("resnet20", "weight"): 7,
    ("resnet20", "activation"): 8,
    ("resnet18", "weight"): 9,
    ("resnet18", "activation"): 10,
    ("resnet50", "weight"): 11,
    ("resnet50", "activation"): 12,
}
"""Of the figures about scale gradients, by printed model and operand. Source: huang2025nearly,
Figures 7 to 12."""


def plain_variant(suite: Suite, experiment: str) -> str:
    """Return the variant whose scale gradients are shown: the first without ALRS that records them.

    Training with ALRS always records them: where no other does, it is the first of these.
    """
    variants = suite.experiments[experiment].variants
    recorded = [
        key
        for key, one in variants.items()
        if one.training.get("record_scale_gradients") or one.training.get("alrs")
    ]
    without = (key for key in recorded if not variants[key].training.get("alrs"))
    return next(without, next(iter(recorded or variants)))


def alrs_variant(suite: Suite, experiment: str) -> str | None:
    """Return the variant that differs from the plain one in ALRS alone, or None."""
    variants = suite.experiments[experiment].variants
    plain = _apart_from_alrs(variants[plain_variant(suite, experiment)])
    with_it = (key for key, one in variants.items() if one.training.get("alrs"))
    return next((key for key in with_it if _apart_from_alrs(variants[key]) == plain), None)


def _apart_from_alrs(variant: VariantSpec) -> tuple[Choice, dict[str, Any]]:
    """Return what else decides the training of a variant."""
    own = {"alrs", "record_scale_gradients"}
    return variant.method, {key: v for key, v in variant.training.items() if key not in own}


@dataclass(frozen=True)
class Study:
    """The runs of one network with and without ALRS."""

    title: str
    stamp: str
    variants: dict[str, str]
    """Key to title, in the suite's order."""
    plain_variant: str
    """The one whose scale gradients are shown."""
    compared: tuple[str, ...]
    """That one, and the one that differs from it in ALRS alone, if there is one."""
    headline: Headline
    """Of the network's task."""
    cells: pd.DataFrame
    """Columns variant, bitset, seed, run."""
    curves: pd.DataFrame
    gradients: pd.DataFrame

    @classmethod
    def of(cls, frames: Frames, experiment: str, network: str) -> "Study":
        """Return the study of one of the experiment's networks."""
        recipe = frames.suite.experiments[experiment]
        rows = frames.metrics
        rows = rows[(rows.experiment == experiment) & (rows.network == network)]
        cells = rows.loc[
            rows.variant != "float", ["variant", "bitset", "seed", "run"]
        ].drop_duplicates()
        data = frames.data_of(cells.run)
        title = frames.suite.networks[network].title
        plain = plain_variant(frames.suite, experiment)
        with_alrs = alrs_variant(frames.suite, experiment)
        return cls(
            title=title,
            stamp=f"{title} · {stamp(frames, data)}",
            variants={key: variant.title for key, variant in recipe.variants.items()},
            plain_variant=plain,
            compared=tuple(dict.fromkeys(filter(None, (plain, with_alrs)))),
            headline=frames.headlines[network],
            cells=cells,
            curves=cells.merge(frames.curves, on="run"),
            gradients=cells.merge(frames.scale_gradients, on="run"),
        )

    @property
    def bitsets(self) -> list[str]:
        """Bit sets trained, in the suite's order."""
        return list(dict.fromkeys(self.cells.bitset)) or [""]

    def per_layer(self, operand: str, bitset: str) -> dict[int, pd.DataFrame]:
        """Return mean, std and max of |gradient| per layer, by bit-width; over seeds and epochs."""
        rows = self.gradients
        rows = rows[(rows.variant == self.plain_variant) & (rows.bitset == bitset)]
        rows = rows[rows.operand == operand]
        return {
            int(str(bits)): group.groupby(["position", "layer"], as_index=False)[
                ["mean_abs", "std", "max_abs"]
            ].mean()
            for bits, group in sorted(rows.groupby("bits"), reverse=True)
        }

    def is_trained(self, variant: str) -> bool:
        """Return whether any step trained a variant."""
        return bool((self.curves.steps[self.curves.variant == variant] > 0).any())

    def curve(self, variant: str, bits: int, column: str) -> pd.DataFrame:
        """Return mean over seeds of one curve, and one standard deviation down and up, by epoch.

        Of the widest bit set that has ``bits``.
        """
        rows = self.curves[(self.curves.variant == variant) & (self.curves.bits == bits)]
        rows = rows[rows.bitset == next(iter(rows.bitset), None)]
        metric = self.headline.metric
        is_ratio = metric.scale == "log" and column.endswith("headline")
        rows = rows.assign(**{column: rows[column].map(metric.scaled)}) if is_ratio else rows
        found = rows.groupby("epoch")[column].agg(["mean", "std"]).fillna({"std": 0.0})
        found = found.assign(
            low=found["mean"] - found["std"],
            high=found["mean"] + found["std"],
            number=found.index + 1,
        )
        if is_ratio:
            shown = ["mean", "low", "high"]
            found[shown] = np.exp(found[shown])
        return found


def scale_gradients(operand: str) -> DrawNetwork:
    """Return what draws the statistics per layer and bit-width of ``operand``'s scale gradients."""

    def draw(frames: Frames, experiment: str, network: str) -> "Figure":
        study = Study.of(frames, experiment, network)
        figure = drawing.figure(2.9, study.stamp)
        panels = figure.subplots(1, len(study.bitsets), sharey=True, squeeze=False)[0]
        for axes, bitset in zip(panels, study.bitsets, strict=True):
            _draw_layers(axes, study.per_layer(operand, bitset))
            axes.set_title(f"{OPERANDS[operand]}, {bitset}")
        panels[0].set_ylabel("mean |gradient|")
        drawing.set_log_scale(panels[0])
        drawing.share_legend(figure, panels)
        return figure

    return draw


def draw_overview(frames: Frames, experiment: str, network: str) -> "Figure":
    """Return Figure 3: scale gradients at 2 and 4 bits; curves without and with ALRS."""
    study = Study.of(frames, experiment, network)
    bitset = study.bitsets[0]
    figure = drawing.figure(4.4, study.stamp)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.15, 1))[:, 0]
    top, bottom = above.subplots(1, 2), below.subplots(1, 2)
    for axes, letter, (operand, title) in zip(top, "ab", OPERANDS.items(), strict=True):
        layers = study.per_layer(operand, bitset)
        _draw_layers(axes, {bits: layers[bits] for bits in (4, 2) if bits in layers})
        axes.set(title=f"({letter}) {title}, {bitset}", ylabel="mean |gradient|")
        drawing.set_log_scale(axes)
    _draw_curves(bottom[0], study, "loss", "training loss")
    bottom[0].set_title("(c) training loss")
    _draw_curves(bottom[1], study, "held_out_headline", f"held-out {label(study.headline.metric)}")
    if study.headline.chance is not None and bottom[1].has_data():
        bottom[1].axhline(study.headline.chance, color="#999999", linestyle=":", linewidth=0.8)
    bottom[1].set_title(f"(d) held-out {study.headline.measure}")
    drawing.share_legend(above, top)
    drawing.share_legend(below, bottom)
    return figure


def _draw_layers(axes: "Axes", layers: dict[int, pd.DataFrame]) -> None:
    """Draw one line per bit-width over layers, shaded by one standard deviation above."""
    if not layers:
        drawing.say_nothing_to_show(axes, NOTHING)
        return
    for bits, rows in layers.items():
        look = drawing.colour(bits)
        line = axes.plot(rows.position, rows.mean_abs, color=look, label=f"{bits} bits")
        line[0].set_marker(drawing.marker(bits))
        upper = rows.mean_abs + rows["std"]
        axes.fill_between(rows.position, rows.mean_abs, upper, color=look, alpha=0.15, linewidth=0)
    rows = next(iter(layers.values()))
    if len(rows) <= NAMED_LAYERS:
        axes.set_xticks(rows.position, rows.layer, rotation=90, fontsize=5.5)
    else:
        axes.set_xlabel("layer, from the input")


def _draw_curves(axes: "Axes", study: Study, column: str, label: str) -> None:
    """Draw one line per variant at 4 and 2 bits, shaded by the standard deviation over seeds."""
    if study.curves.empty:
        drawing.say_nothing_to_show(axes, NOTHING)
        return
    for bits in (4, 2):
        for variant, line in zip(study.compared, ("--", "-"), strict=False):
            rows = study.curve(variant, bits, column)
            look, label_of = drawing.colour(bits), f"{bits} bits, {study.variants[variant]}"
            axes.plot(rows.number, rows["mean"], line, color=look, label=label_of)
            axes.fill_between(rows.number, rows.low, rows.high, color=look, alpha=0.15, linewidth=0)
    axes.set(xlabel="epoch", ylabel=label)
    axes.locator_params(axis="x", integer=True)


class ScaleGradients(FigureKind):
    """Figures 7 to 12, and the same of networks that are not printed."""

    def drawings(self, suite: Suite, experiment: str) -> Iterator[Drawing]:
        """Yield the figures of weight and activation scales of every network."""
        recipe = suite.experiments[experiment]
        networks = recipe.networks
        row = recipe.variants[plain_variant(suite, experiment)].title
        taken = set()
        for network in networks:
            spec = suite.networks[network]
            for operand, what in OPERANDS.items():
                number = NUMBERS.get((spec.published, operand))
                is_printed = number is not None and number not in taken
                taken.add(number)
                title = f"radients of the {what} per layer, {spec.title}"
                yield Drawing(
                    f"figure{number}" if is_printed else f"figure-{operand}-scales-{network}",
                    f"Figure {number}: g{title}" if is_printed else f"G{title}",
                    PER_LAYER.format(row=f"the row {row}"),
                    partial(scale_gradients(operand), experiment=experiment, network=network),
                    is_further=not is_printed and network != networks[0],
                    network=network,
                )


_DASHED = PER_LAYER.format(row="the row that is dashed below")

OVERVIEW = PerNetwork(
    "figure3",
    "Figure 3: scale gradients, and training without and with ALRS",
    f"(a, b) {_DASHED} (c, d) Mean over all seeds, collapsed ones too; shaded: one standard "
    "deviation; dotted: guessing.",
    draw_overview,
)
SCALES = ScaleGradients()
