"""The bit-widths of every layer, for policies of one network."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bitswitch.errors import ReportError
from bitswitch.report.figures import drawing
from bitswitch.results.policies import PolicyFile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_IN = 1.1
LABELS_IN = 1.2


def draw(files: Sequence[PolicyFile]) -> "Figure":
    """Return bars of weight bit-widths, and marks of activation bit-widths where they differ.

    Raises:
        ReportError: the policies are of different networks.
    """
    layers = list(files[0].layers)
    for file in files[1:]:
        if list(file.layers) != layers:
            raise ReportError(
                f"The policies are of different networks: {files[0].model} and {file.model}.\n"
                f"  Draw policies of the same model."
            )
    stamp = f"{files[0].model} on {files[0].dataset}, run {files[0].run}"
    figure = drawing.figure(ROW_IN * len(files) + LABELS_IN, stamp)
    rows = figure.subplots(len(files), 1, sharex=True, squeeze=False)[:, 0]
    for axes, file in zip(rows, files, strict=True):
        _draw_row(axes, file)
    rows[-1].set_xticks(range(len(layers)), layers, rotation=90, fontsize=5)
    return figure


def _draw_row(axes: "Axes", file: PolicyFile) -> None:
    pairs = list(file.layers.values())
    weights = [weight for weight, _ in pairs]
    colours = [drawing.colour(bits) for bits in weights]
    axes.bar(range(len(weights)), weights, color=colours, width=0.8)
    other = [(place, a) for place, (w, a) in enumerate(pairs) if a != w]
    if other:
        axes.plot(*zip(*other, strict=True), "k_", label="activations")
        axes.legend(loc="upper right")
    axes.set(ylabel="bits", yticks=sorted(file.bitset))
    axes.set_title(f"{file.search}, {file.budget}", fontsize=7, loc="left")
