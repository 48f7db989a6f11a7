"""What draws an experiment: the contract of plugins in group ``bitswitch.figures``."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from bitswitch.report.collect.frames import Frames
from bitswitch.suite.suite import Suite

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[Frames], "Figure"]


class DrawExperiment(Protocol):
    """Draws a figure of an experiment of a suite."""

    def __call__(self, frames: Frames, experiment: str) -> "Figure":
        """Return the figure; ``experiment`` is a key in the suite."""


class DrawNetwork(Protocol):
    """Draws a figure of one network of an experiment."""

    def __call__(self, frames: Frames, experiment: str, network: str) -> "Figure":
        """Return the figure; ``experiment`` and ``network`` are keys in the suite."""


class Drawing(NamedTuple):
    """A figure of a suite."""

    name: str
    """Of its file; two in a suite are told apart by the network or the experiment."""
    title: str
    caption: str
    draw: Draw
    is_further: bool = False
    """Whether it shows of another network what one before it shows."""
    network: str | None = None
    """Key in the suite; None: it shows several, or none."""


class FigureKind(ABC):
    """A way to draw an experiment; entry points name instances, suites the entry points."""

    @abstractmethod
    def drawings(self, suite: Suite, experiment: str) -> Iterator[Drawing]:
        """Yield the figures of an experiment; nothing is drawn yet."""


@dataclass(frozen=True)
class Whole(FigureKind):
    """One figure of all networks of an experiment, or of none."""

    name: str
    title: str
    caption: str
    draw: DrawExperiment

    def drawings(self, suite: Suite, experiment: str) -> Iterator[Drawing]:
        """Yield the figure."""
        draw = partial(self.draw, experiment=experiment)
        yield Drawing(self.name, self.title, self.caption, draw)


def _any_network(suite: Suite, experiment: str, network: str) -> bool:
    return True


@dataclass(frozen=True)
class PerNetwork(FigureKind):
    """A figure for each network of an experiment.

    The first one bears the name, and so the number of the publication; the others have their key
    in the suite behind it.
    """

    name: str
    title: str
    caption: str
    draw: DrawNetwork
    comes_first: Callable[[Suite, str, str], bool] = _any_network
    """Whether a network of an experiment may be the first one."""

    def drawings(self, suite: Suite, experiment: str) -> Iterator[Drawing]:
        """Yield the figure of every network."""
        networks = suite.experiments[experiment].networks
        fitting = (one for one in networks if self.comes_first(suite, experiment, one))
        first = next(fitting, networks[0])
        for network in (first, *(one for one in networks if one != first)):
            is_further = network != first
            several = f", {suite.networks[network].title}" if len(networks) > 1 else ""
            yield Drawing(
                f"{self.name}-{network}" if is_further else self.name,
                self.title + several,
                self.caption,
                partial(self.draw, experiment=experiment, network=network),
                is_further,
                network,
            )
