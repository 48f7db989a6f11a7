"""What was measured about a claim."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Literal, get_args

from bitswitch.errors import ReportError, hint
from bitswitch.report.statistics.discordance import Discordance
from bitswitch.report.statistics.paired import Paired

Kind = Literal["margin", "direction", "magnitude", "cost", "exactness"]
"""What a claim is about; all but costs and exactness are judged alike."""


@dataclass(frozen=True)
class Evidence:
    """Measured differences beside what a claim says of them, all in one unit.

    Differences of what is printed as a ratio are those of logarithms, ``printed`` and ``margin``
    too.
    """

    kind: Kind
    differences: Mapping[int, float]
    """Left minus right by seed, or measured minus claimed bound; of exactness, how many exceptions
    each seed has."""
    direction: int = 1
    """1: the left side is claimed to be larger; -1: smaller. Of a claim with a margin, the side on
    which it says that there is no difference, 0 for both."""
    printed: float | None = None
    """Claimed difference, with its sign; None where only a direction is claimed."""
    noise: float = 0.0
    """95 % half-width of the test set at the printed difference."""
    discordant: Discordance | None = None
    """Where the sides differ on the test set, if it is known which examples each got right."""
    margin: float | None = None
    """Of claims that there is no difference: the size from which on one matters."""
    read: Callable[[float], float] = float
    """From the unit of the differences to what sentences print: of logarithms, the ratio."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ReportError(
                f"No claim is of kind '{self.kind}'.{hint(self.kind, get_args(Kind))}"
            )
        allowed = (-1, 1) if self.margin is None else (-1, 0, 1)
        if self.direction not in allowed:
            raise ReportError(
                f"The direction of a claim is {self.direction}; it is one of {allowed}, and 0 only "
                "where a margin says what makes no difference."
            )
        if self.margin is not None and not self.margin > 0:
            raise ReportError(f"A margin of {self.margin} is none: give a size above 0.")
        if self.margin is None and (self.printed or 0) * self.direction < 0:
            raise ReportError(
                f"The printed difference {self.printed} has another sign than the direction "
                f"{self.direction} of its claim: differences are left minus right."
            )
        bad = [seed for seed, value in self.differences.items() if not isfinite(value)]
        if bad:
            raise ReportError(
                f"The difference of seed {bad[0]} is not finite: leave seeds out that diverged."
            )

    @cached_property
    def values(self) -> list[float]:
        """The differences in order of their seeds."""
        return [self.differences[seed] for seed in sorted(self.differences)]

    @property
    def shared(self) -> float:
        """Standard error over examples of what seeds share; 0 where it is not known."""
        return self.discordant.shared if self.discordant else 0.0

    @cached_property
    def paired(self) -> Paired:
        """What the differences say; there has to be one."""
        return Paired.of(self.values)
