"""The figures of a suite: which there are, what they show, and their files.

What is drawn of a network is drawn of every network of its experiment. The first one bears the
number of the publication; the others have their key in the suite behind it.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bitswitch.errors import ReportError, hint
from bitswitch.report.collect.frames import Frames
from bitswitch.report.figures import (
    deployment_figures,
    drawing,
    front_figures,
    gradient_figures,
    hasb_figures,
    layer_figure,
    staircase_figure,
)
from bitswitch.report.figures.drawing import DrawNetwork
from bitswitch.report.tables import rounding_table, storage_table
from bitswitch.suite.suite import Suite

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[Frames], "Figure"]


class Drawing(NamedTuple):
    """A figure of a suite."""

    title: str
    caption: str
    draw: Draw
    is_further: bool = False
    """Whether it shows of another network what one before it shows."""


class Whole(NamedTuple):
    """A figure of no network or of all of them, in suites with ``experiment``; None: in all."""

    title: str
    caption: str
    draw: Draw
    experiment: str | None


class PerNetwork(NamedTuple):
    """A figure for each network of ``experiment``."""

    title: str
    caption: str
    draw: DrawNetwork
    experiment: str
    comes_first: Callable[[Suite, str], bool] = lambda suite, network: True
    """Whether a network may be the one that bears the number of the publication."""


_PER_LAYER = (
    "Mean magnitude of the gradient of the loss by each quantization scale, without ALRS, "
    "averaged over the steps of all epochs and over seeds; shaded: one standard deviation up."
)

KINDS: dict[str, Whole | PerNetwork] = {
    "figure2": Whole(
        "Figure 2: staircases of four quantizers",
        staircase_figure.CAPTION,
        staircase_figure.draw,
        None,
    ),
    "figure3": PerNetwork(
        "Figure 3: scale gradients, and training without and with ALRS",
        f"(a, b) {_PER_LAYER} (c, d) Mean over all seeds, collapsed ones "
        "too; shaded: one standard deviation; dotted: guessing.",
        gradient_figures.draw_overview,
        gradient_figures.EXPERIMENT,
    ),
    "figure4": PerNetwork(
        "Figure 4: roulette, Hessian traces and sub-nets",
        hasb_figures.CAPTION,
        hasb_figures.draw_hasb,
        hasb_figures.TRACES,
        hasb_figures.has_subnets,
    ),
    "figure5": PerNetwork(
        "Figure 5: sub-nets of HASB and of uniform sampling",
        front_figures.CAPTION,
        front_figures.draw_fronts,
        front_figures.EXPERIMENT,
    ),
    "figure-searched-layers": PerNetwork(
        "Bit-widths of the layers of searched sub-nets",
        layer_figure.CAPTION,
        layer_figure.draw,
        layer_figure.EXPERIMENT,
    ),
    "figure-limited-share": PerNetwork(
        "Draws with a set mean, and with a limited share of sensitive layers",
        hasb_figures.DRAWS_CAPTION,
        hasb_figures.draw_draws,
        hasb_figures.DRAWS,
    ),
    "figure-second-rounding": PerNetwork(
        "Errors of the second rounding",
        deployment_figures.ROUNDING_CAPTION,
        deployment_figures.draw_rounding,
        rounding_table.EXPERIMENT,
    ),
    "figure-storage": Whole(
        "What a network takes",
        deployment_figures.STORAGE_CAPTION,
        deployment_figures.draw_storage,
        storage_table.EXPERIMENT,
    ),
}
"""Numbered as in huang2025nearly, then those that it does not have."""

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


def of(suite: Suite) -> dict[str, Drawing]:
    """Return a suite's figures by name, in their order: those of further networks come last."""
    found = [*_numbered(suite), *_gradients(suite)]
    # Figures 7 to 12 stand behind Figure 5, before those without a number.
    found.sort(key=lambda one: (one[1].is_further, *_number(one[0])))
    return dict(found)


def names(suite: Suite) -> list[str]:
    """Return the names of a suite's figures."""
    return list(of(suite))


def write(name: str, folder: Path, frames: Frames | None = None) -> list[Path]:
    """Draw ``figures/<name>.pdf`` and ``.png`` below ``folder``; return their paths.

    Args:
        name: One of ``names(suite)``.
        folder: Where ``collect.write`` left its files.
        frames: What stands in them, if it has been read.

    Raises:
        ReportError: the suite has no such figure.
    """
    frames = frames or Frames.read(folder)
    known = of(frames.suite)
    if name not in known:
        raise ReportError(
            f"Suite '{frames.suite.name}' has no figure '{name}'.{hint(name, known)}\n"
            f"  it has: {', '.join(known)}"
        )
    with drawing.style():
        return drawing.save(known[name].draw(frames), folder / "figures" / name)


def _number(name: str) -> tuple[bool, int]:
    """Return a sort key: by number, then those without one as they come.

    >>> sorted(["figure-storage", "figure10", "figure3"], key=_number)
    ['figure3', 'figure10', 'figure-storage']
    """
    digits = name.removeprefix("figure").partition("-")[0]
    return (not digits, int(digits or 0))


def _numbered(suite: Suite) -> Iterator[tuple[str, Drawing]]:
    """Yield name and figure of every kind, and of each network that it is drawn of."""
    for name, kind in KINDS.items():
        if kind.experiment is not None and kind.experiment not in suite.experiments:
            continue
        if isinstance(kind, Whole):
            yield name, Drawing(kind.title, kind.caption, kind.draw)
            continue
        networks = suite.experiments[kind.experiment].networks
        first = next((one for one in networks if kind.comes_first(suite, one)), networks[0])
        for network in (first, *(one for one in networks if one != first)):
            is_further = network != first
            title = f"{kind.title}, {suite.networks[network].title}" if len(networks) > 1 else ""
            yield (
                f"{name}-{network}" if is_further else name,
                Drawing(
                    title or kind.title,
                    kind.caption,
                    partial(kind.draw, network=network),
                    is_further,
                ),
            )


def _gradients(suite: Suite) -> Iterator[tuple[str, Drawing]]:
    """Yield Figures 7 to 12, and the same of networks that are not printed."""
    experiment = suite.experiments.get(gradient_figures.EXPERIMENT)
    taken = set()
    if experiment is None:
        return
    for network in experiment.networks:
        spec = suite.networks[network]
        for operand, what in gradient_figures.OPERANDS.items():
            number = NUMBERS.get((spec.published or "", operand))
            is_printed = number is not None and number not in taken
            taken.add(number)
            title = f"radients of the {what} per layer, {spec.title}"
            yield (
                f"figure{number}" if is_printed else f"figure-{operand}-scales-{network}",
                Drawing(
                    f"Figure {number}: g{title}" if is_printed else f"G{title}",
                    _PER_LAYER,
                    partial(gradient_figures.scale_gradients(operand), network=network),
                    is_further=not is_printed and network != experiment.networks[0],
                ),
            )
