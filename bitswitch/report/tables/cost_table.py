"""What joint training costs beside one training per bit-width: Table 5."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import pandas as pd

from bitswitch.report.analysis.origin import stamp
from bitswitch.report.analysis.training_times import Clock, Saving
from bitswitch.report.analysis.values import paired, printed_title
from bitswitch.report.collect import published
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import (
    DASH,
    Detail,
    Entry,
    Footnotes,
    Group,
    Line,
    Section,
    Table,
)
from bitswitch.report.tables import entries
from bitswitch.report.tables.energy_entry import KWH_J, WH_J, energy
from bitswitch.report.tables.kind import TableKind

HOUR_S, MINUTE_S = 3600.0, 60.0
WIDTH = 7
"""Columns of what is reproduced."""

NOTES = (
    "Average: training time of a bit set divided by its number of bit-widths. This is the only "
    "reading under which the printed joint hours can lie below the separate ones, since a joint "
    "step makes one pass per bit-width.",
    "Saving, percent of the joint cost, as printed: (separate - joint) / joint; of the separate "
    "cost: (separate - joint) / separate. Reproduced, one joint training stands against the sum "
    "over the separate trainings of the same bit set.",
    "Training steps are counted; evaluation, and the full-precision start that both sides share, "
    "are not. Times depend on hardware, image size and network: only savings may be compared. "
    "Times on a GPU are those of the one GPU that a run has.",
    "Energy: of the same steps, mean over seeds, from a counter of the hardware: of the GPU with "
    "its memory (NVML), or of all packages of processors without memory (RAPL). It counts what is "
    "idle and what others take there too, but not the rest of the machine.",
)
SEPARATE_MISSING = "a separate training is not complete"


def build(frames: Frames, experiment: str, name: str) -> Table:
    """Return Table 5; ``experiment`` trains each bit-width of its networks alone."""
    suite = frames.suite
    recipe = suite.experiments[experiment]
    clocks = {network: Clock(frames, experiment, network) for network in recipe.networks}
    longest = max((clock.longest for clock in clocks.values()), default=0.0)
    unit_s = HOUR_S if longest > HOUR_S else MINUTE_S
    most = max((clock.most_energy for clock in clocks.values()), default=0.0)
    unit_j = KWH_J if most > KWH_J else WH_J
    footnotes = Footnotes()
    printed = published.costs()
    networks = {network: suite.networks[network] for network in recipe.networks}
    sections = tuple(
        _Section(
            title=networks[network].title if network else printed_title(model),
            printed=printed[printed.model == model],
            clock=clocks.get(network or ""),
            groups=_groups(clocks.values(), unit_s, unit_j),
            unit_s=unit_s,
            unit_j=unit_j,
            footnotes=footnotes,
        ).build()
        for network, model in paired(networks, printed.model)
    )
    devices = sorted({device for clock in clocks.values() for device in clock.devices})
    where = (f"Reproduced on {'; '.join(devices)}.",) if devices else ()
    data = frames.data_of(run for clock in clocks.values() for run in clock.all.run)
    return Table(
        name=name,
        title=recipe.title,
        stamp=stamp(frames, data),
        sections=sections,
        notes=(*NOTES, *where),
        footnotes=footnotes.listed(),
    )


def _groups(clocks: Iterable[Clock], unit_s: float, unit_j: float) -> tuple[Group, ...]:
    """Return the columns; their unit of time is that of the clocks."""
    kinds = "/".join(dict.fromkeys(clock.kind for clock in clocks if clock.kinds))
    unit = f"{kinds} {'hours' if unit_s == HOUR_S else 'minutes'}".strip()
    return (
        Group("published, hours", ("average",)),
        Group("saving, %", ("of joint", "of separate")),
        Group(f"reproduced, {unit}", ("average", "joint", "sum of separate")),
        Group("saving, %", ("of joint", "of separate")),
        Group(f"energy, {'kWh' if unit_j == KWH_J else 'Wh'}", ("joint", "sum of separate")),
    )


@dataclass(frozen=True)
class _Section:
    """Builds the rows of one network."""

    title: str
    printed: pd.DataFrame
    clock: Clock | None
    groups: tuple[Group, ...]
    unit_s: float
    unit_j: float
    footnotes: Footnotes

    def build(self) -> Section:
        """Return the section."""
        printed = [bits for bits in self.printed.bit_widths if bits != "separate"]
        bitsets = dict.fromkeys(map(published.bitset_title, printed))
        if self.clock:
            bitsets |= dict.fromkeys(self.clock.bitsets)
        shown = (*self._printed("separate"), *self._separate())
        alone = entries.jobs(self.clock.separate, "run", "runs") if self.clock else None
        lines = [Line("separate", "", shown, detail=alone)]
        for bitset in bitsets:
            shown = (*self._printed(bitset.strip("{}")), *self._joint(bitset))
            lines.append(Line(bitset, "", shown, detail=self._behind(bitset)))
        return Section(self.title, self._about(), self.groups, tuple(lines), network=self.title)

    def _behind(self, bitset: str) -> Detail | None:
        """Return the joint trainings of a bit set."""
        if self.clock is None:
            return None
        joint = self.clock.joint
        return entries.jobs(joint[joint.bitset == bitset], "run", "runs")

    def _about(self) -> str:
        parts = []
        if len(self.printed):
            row = self.printed.iloc[0]
            data = printed_title(row.dataset)
            gpus = f"{row.v100_gpus} V100" + ("s" if row.v100_gpus > 1 else "")
            recipe = f"{row.epochs} epochs, batch {row.batch_size}"
            parts.append(f"published: {data}, {recipe}, {gpus}")
        setup = self.clock.setup or f"{DASH} not run" if self.clock else f"{DASH} not in this suite"
        parts.append(f"reproduced: {setup}")
        return " · ".join(parts)

    def _printed(self, bits: str) -> tuple[Entry, ...]:
        """Return published hours and savings of one row."""
        hours = dict(zip(self.printed.bit_widths, self.printed.avg_hours, strict=True))
        saved = dict(zip(self.printed.bit_widths, self.printed.save_cost_percent, strict=True))
        if bits not in hours:
            return (Entry(), Entry(), Entry())
        relative = Saving(hours[bits], hours["separate"]).of_separate
        texts = (f"{hours[bits]:.1f}", f"{saved[bits]:.1f}", f"{relative:.1f}")
        return tuple(Entry(text, tone="published") for text in texts)

    def _separate(self) -> tuple[Entry, ...]:
        """Return the mean over all bit-widths trained alone."""
        if self.clock is None:
            return (Entry(),) * WIDTH
        each = self.clock.separate_times()
        if each is None:
            return (self._dash(SEPARATE_MISSING), *[Entry()] * (WIDTH - 1))
        times = (self._time(fmean(each)), Entry(), Entry(), Entry("0.0"), Entry("0.0"))
        return (*times, Entry(), Entry())

    def _joint(self, bitset: str) -> tuple[Entry, ...]:
        """Return the joint training of one bit set against the separate ones."""
        if self.clock is None:
            return (Entry(),) * WIDTH
        times = self.clock.joint_times(bitset)
        if not times:
            return (self._dash("the joint training is not complete"), *[Entry()] * (WIDTH - 1))
        energies = self.clock.joint_energy(bitset), self.clock.separate_energy(bitset)
        shown = (energy(one, self.unit_j, self.footnotes) for one in energies)
        return (*self._saved(self.clock, bitset, times), *shown)

    def _saved(self, clock: Clock, bitset: str, times: list[float]) -> tuple[Entry, ...]:
        """Return times of a joint training and of the separate ones, and what is saved."""
        each = clock.separate_times(bitset)
        size = bitset.count(",") + 1
        shown = (self._time(*(time / size for time in times)), self._time(*times))
        if each is None:
            return (*shown, *[self._dash(SEPARATE_MISSING)] * 3)
        if not clock.is_fair:
            reason = f"measured on different devices: {'; '.join(clock.devices)}"
            return (*shown, self._time(sum(each)), *[self._dash(reason)] * 2)
        saving = Saving(fmean(times), sum(each))
        percents = (Entry(f"{p:.1f}") for p in (saving.of_joint, saving.of_separate))
        return (*shown, self._time(sum(each)), *percents)

    def _time(self, *seconds: float) -> Entry:
        """Return a mean time over seeds."""
        values: Sequence[float] = [one / self.unit_s for one in seconds]
        spread = f"±{stdev(values):.2f} ({len(values)})" if len(values) > 1 else ""
        return Entry(f"{fmean(values):.2f}", below=spread)

    def _dash(self, reason: str) -> Entry:
        return Entry(DASH, marks=(self.footnotes.mark(reason),))


KIND = TableKind(build, needs_beside=True)
