"""The figures of a suite: which there are, what they show, and their files."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bitswitch.errors import ReportError, hint
from bitswitch.report import (
    deployment_figures,
    drawing,
    front_figures,
    gradient_figures,
    hasb_figures,
    layer_figure,
    rounding_table,
    staircase_figure,
    storage_table,
)
from bitswitch.report.frames import Frames
from bitswitch.suite import Suite

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Drawing(NamedTuple):
    """A figure that suites with ``experiment`` have; None: every suite."""

    title: str
    caption: str
    draw: Callable[[Frames], "Figure"]
    experiment: str | None = gradient_figures.EXPERIMENT


_PER_LAYER = (
    "Mean magnitude of the gradient of the loss by each quantization scale, without ALRS, "
    "averaged over the steps of all epochs and over seeds; shaded: one standard deviation up."
)

FIGURES = {
    "figure2": Drawing(
        "Figure 2: staircases of four quantizers",
        staircase_figure.CAPTION,
        staircase_figure.draw,
        None,
    ),
    "figure3": Drawing(
        "Figure 3: scale gradients, and training without and with ALRS",
        f"(a, b) {_PER_LAYER} (c, d) Mean over all seeds, collapsed ones "
        "too; shaded: one standard deviation; dotted: guessing.",
        gradient_figures.draw_overview,
    ),
    "figure4": Drawing(
        "Figure 4: roulette, Hessian traces and sub-nets",
        hasb_figures.CAPTION,
        hasb_figures.draw_hasb,
        hasb_figures.TRACES,
    ),
    "figure5": Drawing(
        "Figure 5: sub-nets of HASB and of uniform sampling",
        front_figures.CAPTION,
        front_figures.draw_fronts,
        front_figures.EXPERIMENT,
    ),
    "figure7": Drawing(
        "Figure 7: gradients of the weight scales per layer",
        _PER_LAYER,
        gradient_figures.scale_gradients("weight"),
    ),
    "figure8": Drawing(
        "Figure 8: gradients of the activation scales per layer",
        _PER_LAYER,
        gradient_figures.scale_gradients("activation"),
    ),
    "figure-searched-layers": Drawing(
        "Bit-widths of the layers of searched sub-nets",
        layer_figure.CAPTION,
        layer_figure.draw,
        layer_figure.EXPERIMENT,
    ),
    "figure-limited-share": Drawing(
        "Draws with a set mean, and with a limited share of sensitive layers",
        hasb_figures.DRAWS_CAPTION,
        hasb_figures.draw_draws,
        hasb_figures.DRAWS,
    ),
    "figure-second-rounding": Drawing(
        "Errors of the second rounding",
        deployment_figures.ROUNDING_CAPTION,
        deployment_figures.draw_rounding,
        rounding_table.EXPERIMENT,
    ),
    "figure-storage": Drawing(
        "What a network takes",
        deployment_figures.STORAGE_CAPTION,
        deployment_figures.draw_storage,
        storage_table.EXPERIMENT,
    ),
}
"""Numbered as in huang2025nearly, then those that it does not have."""


def names(suite: Suite) -> list[str]:
    """Return the names of a suite's figures."""
    known = {None, *suite.experiments}
    return [name for name, drawn in FIGURES.items() if drawn.experiment in known]


def write(name: str, folder: Path) -> list[Path]:
    """Draw ``figures/<name>.pdf`` and ``.png`` below ``folder``; return their paths.

    Args:
        name: One of ``names(suite)``.
        folder: Where ``collect.write`` left its files.

    Raises:
        ReportError: the suite has no such figure.
    """
    frames = Frames.read(folder)
    known = names(frames.suite)
    if name not in known:
        raise ReportError(
            f"Suite '{frames.suite.name}' has no figure '{name}'.{hint(name, known)}\n"
            f"  it has: {', '.join(known)}"
        )
    with drawing.style():
        return drawing.save(FIGURES[name].draw(frames), folder / "figures" / name)
