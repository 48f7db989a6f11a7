"""Every error a user can meet: what is wrong, where, the nearest valid choice, what to do next."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from signal import SIGTERM


class BitswitchError(Exception):
    """Base of all expected errors; the CLI prints its text and exits with ``exit_code``.

    Every class right below has a code of its own, and those below share it.
    """

    exit_code = 1


LONGEST = 80
"""Letters of what a message quotes; nothing longer is compared with what is known."""


def shown(text: object, most: int = LONGEST) -> str:
    """Return ``text`` as a message can quote it: on one line, and not too long.

    >>> shown("a" * 100, most=6)
    'aaa...'
    """
    line = "".join(one if one.isprintable() else "?" for one in str(text)[: most + 1])
    return line if len(line) <= most else line[: most - 3] + "..."


def hint(name: object, known: Iterable[object]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest of ``known``, or an empty string.

    >>> hint("epoch", ["epochs", "seed"])
    " Did you mean 'epochs'?"
    """
    if len(str(name)) > LONGEST:
        return ""
    near = get_close_matches(str(name), [str(item) for item in known], n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""


class SpecError(BitswitchError):
    """A suite, run spec or option that cannot be run as written."""

    exit_code = 2


class UnknownPluginError(SpecError):
    """A name that no installed package provides."""

    def __init__(self, group: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        super().__init__(
            f"No plugin '{name}' in group 'bitswitch.{group}'.{hint(name, known)}\n"
            f"  installed: {', '.join(known) or 'none'}\n"
            f"  just added it? entry points are read at install time: install its package again"
        )


class PluginError(BitswitchError):
    """A plugin that cannot be loaded, is claimed twice, or breaks its contract."""

    exit_code = 3


class DatasetError(BitswitchError):
    """A dataset that is missing, damaged or laid out wrongly."""

    exit_code = 4


class WeightsError(BitswitchError):
    """Pretrained weights that cannot be had or do not fit."""

    exit_code = 11


class CheckpointError(BitswitchError):
    """A checkpoint that is truncated, damaged or of another run."""

    exit_code = 5


class DeviceError(BitswitchError):
    """A device that was asked for and is not there."""

    exit_code = 6


class LockError(BitswitchError):
    """A file lock that cannot be had, whoever asks."""

    exit_code = 12


class RunDirectoryError(BitswitchError):
    """A run directory that is in use or cannot be written."""

    exit_code = 7


class RecordError(BitswitchError):
    """A record file that does not say what it should."""

    exit_code = 8


class ReportError(BitswitchError):
    """A table, figure or document that cannot be made."""

    exit_code = 9


class BitWidthError(BitswitchError):
    """A bit-width or policy that the model does not offer."""

    exit_code = 13


class CalibrationError(BitswitchError):
    """Images that tell nothing of what the layers of a network see."""

    exit_code = 14

    def __init__(self, problem: str) -> None:
        super().__init__(f"The network cannot be calibrated. {problem}")


class InfeasibleBudgetError(BitswitchError):
    """A budget that no policy meets."""

    exit_code = 15

    def __init__(self, cost: str, limit: float, nearest: float) -> None:
        super().__init__(
            f"No policy has {cost} of at most {limit:g}: the nearest budget that can be met is "
            f"{nearest:.10g}.\n  Raise the budget, or add narrower bit-widths to the bit set."
        )
        self.cost, self.limit, self.nearest = cost, limit, nearest


class UnreachableBudgetError(InfeasibleBudgetError):
    """A budget to be met exactly that lies between the costs of policies, or beyond them."""

    def __init__(self, cost: str, limit: float, reachable: Sequence[float]) -> None:
        names = " and ".join(f"{value:.10g}" for value in reachable)
        BitswitchError.__init__(
            self,
            f"No policy has {cost} of exactly {limit:.10g}: the nearest that policies have "
            f"are {names}.\n  Take one of these as the budget, or set budget_kind: at-most.",
        )
        self.cost, self.limit, self.reachable = cost, limit, tuple(reachable)
        self.nearest = min(reachable, key=lambda value: abs(value - limit))


class TooFewEvaluationsError(SpecError):
    """A search that may evaluate fewer policies than it cannot do without."""

    def __init__(self, search: str, allowed: int, least: int) -> None:
        super().__init__(
            f"Search '{search}' needs at least {least} evaluations on held-out images here; it may "
            f"make {allowed}.\n  Raise search.evaluations, or take a search that reads scores."
        )
        self.allowed, self.least = allowed, least


class LatencyBudgetError(BitswitchError):
    """A latency that no bit-width of a deployed model meets on this machine."""

    exit_code = 16

    def __init__(self, budget_ms: float, times_ms: Mapping[int, float]) -> None:
        fastest = min(times_ms, key=lambda bits: times_ms[bits])
        super().__init__(
            f"No bit-width takes at most {budget_ms:g} ms per image here; the fastest, "
            f"{fastest} bits, takes {times_ms[fastest]:.3g} ms.\n"
            f"  Raise the budget, or take the fastest: --bits {fastest}"
        )


class EncodingError(BitswitchError):
    """Values that have no integer code."""

    exit_code = 17


class ArtifactError(BitswitchError):
    """A file of a deployed model that cannot be used."""

    exit_code = 10

    def __init__(self, path: object, problem: str, remedy: str | None = None) -> None:
        again = "Export it again: bitswitch export RUN -o FILE"
        super().__init__(f"{path} cannot be used: {problem}.\n  {remedy or again}")


class RanksError(BitswitchError):
    """Another process that works on the run has ended."""

    exit_code = 18


class Interrupted(BitswitchError):  # noqa: N818  (an event, not a fault)
    """The run was asked to stop and has saved its state; run again to continue."""

    def __init__(self, text: str, number: int = SIGTERM) -> None:
        super().__init__(text)
        self.exit_code = 128 + number


class Diverged(Exception):  # noqa: N818  (a finding, not a fault)
    """Training cannot go on; the text is the diagnosis."""
