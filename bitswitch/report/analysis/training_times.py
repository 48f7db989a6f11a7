"""How long the trainings of a suite took: joint ones beside one per bit-width."""

from dataclasses import dataclass
from statistics import fmean

import pandas as pd

from bitswitch.report.collect.frames import Frames


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


class Clock:
    """Training times of one network of a suite, in seconds.

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
    def kind(self) -> str:
        """What the clock counts: ``CPU`` or ``wall-clock`` time."""
        return "CPU" if self.kinds == ["cpu"] else "wall-clock"

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
        alone = dict.fromkeys(self.separate.bitset)
        wanted = alone if bitset is None else [f"{{{b}}}" for b in bitset.strip("{}").split(",")]
        times = [_times(self.separate[self.separate.bitset == one]) for one in wanted]
        return [fmean(seeds) for seeds in times] if times and all(times) else None


def _runs(frames: Frames, experiment: str, variant: str | None, network: str) -> pd.DataFrame:
    """Return the rows of ``runs.csv`` of an experiment, full precision left out."""
    cells = frames.metrics
    cells = cells[(cells.experiment == experiment) & (cells.network == network)]
    cells = cells[(cells.variant == variant) if variant else (cells.variant != "float")]
    return frames.runs[frames.runs.run.isin(set(cells.run.dropna()))]


def _times(runs: pd.DataFrame) -> list[float]:
    """Return the training times in seconds of runs that were trained to the end."""
    return [
        float(time)
        for time in runs.loc[runs.status.isin(["complete", "collapsed"]), "train_time_s"]
    ]


def _device(name: str, threads: int) -> str:
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}"
