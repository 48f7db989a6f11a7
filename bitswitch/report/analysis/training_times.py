"""What the trainings of a suite took in time and energy: joint ones beside one per bit-width."""

from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

import pandas as pd

from bitswitch.report.collect.frames import Frames

UNMEASURED = "trained by a version of bitswitch that reads no counter"


@dataclass(frozen=True)
class Saving:
    """What joint training saves, costs in any one unit."""

    joint: float
    separate: float

    @property
    def of_joint(self) -> float:
        """Percent of the joint cost, as the publication prints it."""
        return 100 * (self.separate - self.joint) / self.joint

    @property
    def of_separate(self) -> float:
        """Percent of the separate cost."""
        return 100 * (self.separate - self.joint) / self.separate


class Energy(NamedTuple):
    """What counters have counted in training."""

    joules: float
    source: str
    """What the counter is of."""
    is_shared: bool
    """Whether other processes had a part in it."""


class Clock:
    """Training times of one network of a suite, in seconds, and energy in joules.

    Those of an experiment that trains each bit-width alone, and the joint ones beside it.
    """

    def __init__(self, frames: Frames, experiment: str, network: str) -> None:
        beside = frames.suite.experiments[experiment].beside
        self.separate = _runs(frames, experiment, None, network)
        self.joint = (
            _runs(frames, beside.experiment, beside.variant, network)
            if beside
            else self.separate.iloc[:0]
        )
        self.all = pd.concat([self.separate, self.joint])
        timed = self.all[self.all.train_time_s.notna()]
        devices = zip(timed.device_name, timed.threads, strict=True)
        self.devices = sorted({_device(str(name), int(threads)) for name, threads in devices})
        self.kinds = sorted(set(timed.time_kind))

    @property
    def is_fair(self) -> bool:
        """Whether all times were measured on one kind of device and clock."""
        return len(self.devices) <= 1 and len(self.kinds) <= 1

    @property
    def longest(self) -> float:
        """The longest training."""
        return max(_times(self.all), default=0.0)

    @property
    def most_energy(self) -> float:
        """The largest energy of a training; 0 where none is known."""
        return max(map(float, self.all.train_energy_j.dropna()), default=0.0)

    @property
    def kind(self) -> str:
        """What the clock counts: time of processors, or of the one GPU that a run has."""
        return "/".join({"cpu": "CPU", "wall": "GPU"}[kind] for kind in self.kinds)

    @property
    def bitsets(self) -> list[str]:
        """Bit sets trained jointly."""
        return list(dict.fromkeys(self.joint.bitset))

    @property
    def setup(self) -> str:
        """Data and recipe of the trainings that came to an end; nothing where none has."""
        ended = self.all[self.all.status != "missing"]
        if ended.empty:
            return ""
        stamps, epochs, sizes = (
            "/".join(map(str, dict.fromkeys(ended[column])))
            for column in ("data_stamp", "epochs", "batch_size")
        )
        return f"{stamps}, {epochs} epochs, batch {sizes}"

    def joint_times(self, bitset: str) -> list[float]:
        """Return the time of each completed seed."""
        return _times(self.joint[self.joint.bitset == bitset])

    def separate_times(self, bitset: str | None = None) -> list[float] | None:
        """Return the mean time of each bit-width trained alone; None when one is missing.

        Args:
            bitset: Whose bit-widths; None: all there are.
        """
        times = [_times(runs) for runs in self._alone(bitset)]
        return [fmean(seeds) for seeds in times] if times and all(times) else None

    def joint_energy(self, bitset: str) -> Energy | str:
        """Return what a joint training takes, mean over seeds, or why that is not known."""
        return energy_of(self.joint[self.joint.bitset == bitset])

    def separate_energy(self, bitset: str) -> Energy | str:
        """Return what one training of each bit-width takes, all together, or why that is not known.

        Args:
            bitset: Whose bit-widths.
        """
        found = [energy_of(runs) for runs in self._alone(bitset)]
        known = [one for one in found if isinstance(one, Energy)]
        if len(known) < len(found):
            return next(one for one in found if isinstance(one, str))
        if len(sources := {one.source for one in known}) > 1:
            return f"by different counters: {' and '.join(sorted(sources))}"
        joules = sum(one.joules for one in known)
        return Energy(joules, known[0].source, any(one.is_shared for one in known))

    def _alone(self, bitset: str | None) -> list[pd.DataFrame]:
        """Return the runs of each bit-width of a bit set, or of all, trained alone."""
        alone = dict.fromkeys(self.separate.bitset)
        wanted = alone if bitset is None else [f"{{{b}}}" for b in bitset.strip("{}").split(",")]
        return [self.separate[self.separate.bitset == one] for one in wanted]


def _runs(frames: Frames, experiment: str, variant: str | None, network: str) -> pd.DataFrame:
    """Return the rows of ``runs.csv`` of an experiment, full precision left out."""
    cells = frames.metrics
    cells = cells[(cells.experiment == experiment) & (cells.network == network)]
    cells = cells[(cells.variant == variant) if variant else (cells.variant != "float")]
    return frames.runs[frames.runs.run.isin(set(cells.run.dropna()))]


def _trained(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that were trained to the end."""
    return runs[runs.status.isin(["complete", "collapsed"])]


def _times(runs: pd.DataFrame) -> list[float]:
    """Return the training times in seconds of runs that were trained to the end."""
    return [float(time) for time in _trained(runs).train_time_s]


def energy_of(runs: pd.DataFrame) -> Energy | str:
    """Return the mean energy of runs that were trained to the end, or why it is not known."""
    trained = _trained(runs)
    if trained.empty:
        return "a training is not complete"
    unknown = trained[trained.train_energy_j.isna()]
    if len(unknown):
        reasons = dict.fromkeys(unknown.no_energy.fillna("").replace("", UNMEASURED))
        return "; ".join(map(str, reasons))
    if len(sources := set(trained.energy_source)) > 1:
        return f"by different counters: {' and '.join(sorted(sources))}"
    shared = bool(trained.energy_shared.astype(bool).any())
    return Energy(float(trained.train_energy_j.mean()), sources.pop(), shared)


def _device(name: str, threads: int) -> str:
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}"
