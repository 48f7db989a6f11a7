"""The rows of one network: printed, reproduced, their difference, and effects between rows."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from bitswitch.contracts.metric import Metric
from bitswitch.report.analysis import methods
from bitswitch.report.analysis.values import Network, Place, Sample, Values
from bitswitch.report.collect import published
from bitswitch.report.collect.headline import sentence
from bitswitch.report.render.table import (
    ABSENT,
    DASH,
    Entry,
    Footnotes,
    Group,
    Line,
    Section,
    anchor,
)
from bitswitch.report.tables import conditions, entries, starts
from bitswitch.report.tables.accuracy_grid import Grid, is_float, measured_at
from bitswitch.report.tables.conditions import Conditions
from bitswitch.report.tables.effects import Effects
from bitswitch.report.tables.entries import is_best

Entries = tuple[Entry, ...]

NEGATIVE = "λ < 0"
"""Kind of the row that says how often Eq. 6 turned negative."""

RECALIBRATED = "reproduced, recalibrated"
"""Kind of the row with batch-norm statistics estimated anew."""

UNIFORM = "one width, untuned"
"""Kind of the row with one bit-width for all layers in the columns of sub-nets."""

ALONE = "weights alone are quantized: inputs stay as they are computed (a16)"

SLICED = "sliced: no step trains this bit-width"

NOT_RUN = "not run"


class Row(NamedTuple):
    """A line without its labels."""

    entries: Entries
    conditions: Entries = ()
    """In the columns before; empty: none are said."""
    remarks: Iterable[str] = ()
    """Footnotes to all entries."""


class SectionBuilder:
    """Builds the rows of one network."""

    def __init__(self, values: Values, network: Network, footnotes: Footnotes) -> None:
        self.frames = values.frames
        self.experiment = values.experiment
        self.network = network
        self.is_mixed = len({one.metric for one in values.networks}) > 1
        """Whether networks of the table have different metrics."""
        self.footnotes = footnotes
        self.grid = Grid(values, network)
        self.variants = self.grid.variants
        self.conditions = Conditions(values, network) if conditions.applies(values) else None
        self.effects = Effects(self.grid)

    def build(self) -> Section:
        """Return the section."""
        lines = [line for variant in self.variants for line in self._lines(variant)]
        title = self.network.title
        return Section(
            title, self._about(), self._groups(), tuple(lines), network=title, is_grouped=True
        )

    def _about(self) -> str:
        """Return what printed and reproduced numbers were measured on."""
        network = self.network
        parts = []
        if network.published_data and network.published_data != network.data:
            parts.append(f"published: {network.published_data}")
        if network.name is None:
            parts.append(f"reproduced: {ABSENT}")
        else:
            parts.append(f"reproduced: {network.data or f'{DASH} {NOT_RUN}'}")
        if self.is_mixed:
            parts.append(sentence(network.metric))
        if network.incomparable:
            parts.append(f"{network.incomparable}: not comparable")
        return " · ".join(parts)

    def _groups(self) -> tuple[Group, ...]:
        """Return the conditions, one group per bit set, and full precision."""
        by_set: dict[str, list[str]] = {}
        for bitset, policy in self.grid.columns:
            inputs = "16" if self.grid.has_float_inputs((bitset, policy)) else policy
            name = f"w{policy}a{inputs}" if policy.isdigit() else policy
            by_set.setdefault(bitset, []).append(name)
        groups = [Group("", self.conditions.columns)] if self.conditions else []
        groups += [Group(bitset, tuple(names)) for bitset, names in by_set.items()]
        return (*groups, Group("", ("FP",))) if self.grid.has_float else tuple(groups)

    def _lines(self, variant: str) -> list[Line]:
        """Return all rows of one variant; the first one carries its title."""
        rows = {
            "published": self._published(variant),
            "reproduced": self._reproduced(variant),
            RECALIBRATED: self._recalibrated(variant),
            UNIFORM: self._uniform(variant),
            **{metric.spoken: row for metric, row in self._beside(variant)},
            "difference": self._difference(variant),
            "effect, published": Row(self.effects.published(variant)),
            "effect, reproduced": self._effect(variant),
            NEGATIVE: self._negative(variant),
        }
        kept = [(kind, row) for kind, row in rows.items() if row and _says_something(row)]
        return [
            Line(
                label="" if position else self.variants[variant].title,
                kind=kind,
                entries=(*self._before(row), *row.entries),
                marks=tuple(dict.fromkeys(map(self.footnotes.mark, filter(None, row.remarks)))),
                rule=position == 0,
                method=self._method(variant),
                distilled=self.grid.is_distilled(variant),
            )
            for position, (kind, row) in enumerate(kept)
        ]

    def _method(self, variant: str) -> str:
        """Return the title of a row's method; of one that is only printed, its own."""
        spec = self.variants[variant]
        card = {} if spec.not_run else self.frames.cards.get(spec.method.name, {})
        return str(card.get("title", spec.title))

    def _before(self, row: Row) -> Entries:
        """Return the entries in the columns of conditions."""
        if self.conditions is None:
            return ()
        return row.conditions or (Entry(),) * len(self.conditions.columns)

    def _published(self, variant: str) -> Row | None:
        """Return the printed row, the best of those with the same use of distillation in bold."""
        if not self.grid.is_printed(variant) or not self._is_first_beside_print(variant):
            return None
        alike, printed = self.grid.alike(variant), self.grid.printed
        rivals = {p: v for p, v in printed.items() if p.variant in alike and not is_float(p)}
        shown = tuple(
            entries.printed(printed.get(place), is_best(place, rivals, published.metric()))
            for place in self.grid.places(variant)
        )
        if self.conditions is None:
            return Row(shown)
        return Row(shown, self.conditions.published(variant), [self.conditions.remark(variant)])

    def _is_first_beside_print(self, variant: str) -> bool:
        """Return whether no row above stands beside the same printed one: it is shown once."""
        printed = self.variants[variant].published
        return variant == next(
            key for key, other in self.variants.items() if other.published == printed
        )

    def _reproduced(self, variant: str) -> Row | None:
        """Return the measured row, or a dash with the reason why there is none."""
        if self.network.name is None:
            return None
        if reason := self._why_absent(variant):
            note = Entry(reason, tone="note", span=len(self.grid.places(variant)))
            return Row((note,)) if self.grid.is_printed(variant) else None
        shown = self._with_marks(variant, self._measured(variant, self.grid.samples))
        shown = self._with_anchors(variant, self._with_dashes(variant, shown))
        alone = ALONE if self.grid.stands_out(variant) else ""
        remarks = [alone, starts.remark(self.grid, variant)]
        if self.conditions is None:
            return Row(shown, remarks=remarks)
        kept = self.conditions.storage(variant)
        caveat = kept and methods.caveat(self.frames, self.variants[variant].method.name, kept)
        return Row(shown, self.conditions.reproduced(variant), [caveat or "", *remarks])

    def _why_absent(self, variant: str) -> str | None:
        """Return why a variant has no reproduced row, or None."""
        if reason := self.variants[variant].not_run:
            return f"{DASH} {NOT_RUN}: {reason}"
        return None if self.grid.is_run(variant) else ABSENT

    def _recalibrated(self, variant: str) -> Row | None:
        """Return the row after recalibration where the experiment asks for it.

        A network's own recipe may do so for all runs, so that experiments share them; then the
        tables of others stay as they are.
        """
        samples = self.grid.recalibrated
        if not any(place.variant == variant for place in samples):
            return None
        asked = any(one.training.get("recalibration") for one in self.variants.values())
        return Row(self._measured(variant, samples)) if asked else None

    def _beside(self, variant: str) -> Iterator[tuple[Metric, Row]]:
        """Yield what the task prints beside its headline, of the same seeds."""
        for metric, samples in self.grid.beside.items() if self.grid.is_run(variant) else ():
            found = (measured_at(place, samples) for place in self.grid.places(variant))
            shown = (entries.measured(sample, False, self.footnotes) for sample in found)
            yield metric, Row(tuple(replace(entry, below="", tone="muted") for entry in shown))

    def _uniform(self, variant: str) -> Row:
        """Return what one bit-width for all layers gives within the budgets of sub-nets."""
        samples = map(self.grid.uniform.get, self.grid.places(variant))
        shown = (entries.measured(sample, False, self.footnotes) for sample in samples)
        return Row(tuple(replace(entry, tone="muted") for entry in shown))

    def _measured(self, variant: str, samples: Mapping[Place, Sample]) -> Entries:
        """Return one row of ``samples``, the best of rows with the same conditions in bold."""
        preset = self.variants[variant].preset
        alike = {
            other for other in self.grid.alike(variant) if self.variants[other].preset == preset
        }
        means = {
            place: round(sample.mean, sample.metric.digits)
            for place, sample in samples.items()
            if sample.values and sample.is_whole and place.variant in alike
        }
        return tuple(
            self._marked(
                place,
                entries.measured(
                    measured_at(place, samples),
                    is_best(place, means, self.network.metric),
                    self.footnotes,
                ),
            )
            for place in self.grid.places(variant)
        )

    def _marked(self, place: Place, entry: Entry) -> Entry:
        """Return ``entry``, marked where its bit-width was not trained."""
        if not entry.text or place not in self.grid.sliced:
            return entry
        return replace(entry, marks=(*entry.marks, self.footnotes.mark(SLICED)))

    def _with_dashes(self, variant: str, row: Entries) -> Entries:
        """Return ``row`` with a dash where the suite leaves out what the publication prints."""
        return tuple(
            Entry(DASH, marks=(self.footnotes.mark(ABSENT.removeprefix(f"{DASH} ")),))
            if not entry.text and place in self.grid.printed and not is_float(place)
            else entry
            for place, entry in zip(self.grid.places(variant), row, strict=True)
        )

    def _with_marks(self, variant: str, row: Entries) -> Entries:
        """Return ``row`` with what each cell with a printed value says of it."""
        unlike, grid = self._unlike(variant), self.grid
        return tuple(
            replace(entry, mark=entries.mark(grid.sample(place), grid.printed.get(place), unlike))
            for place, entry in zip(grid.places(variant), row, strict=True)
        )

    def _with_anchors(self, variant: str, row: Entries) -> Entries:
        """Return ``row`` with a name for each cell of a run, by which claims find it."""
        own = (self.experiment, self.network.name or "")
        return tuple(
            replace(entry, anchor=anchor(*own, *place)) if place in self.grid.samples else entry
            for place, entry in zip(self.grid.places(variant), row, strict=True)
        )

    def _difference(self, variant: str) -> Row | None:
        """Return reproduced minus published where they may be compared."""
        grid = self.grid
        if not grid.is_run(variant) or self._unlike(variant):
            return None
        return Row(
            tuple(
                entries.difference(grid.sample(place), grid.printed.get(place))
                for place in grid.places(variant)
            )
        )

    def _unlike(self, variant: str) -> str | None:
        """Return why a row cannot repeat its printed one, or None."""
        if self.network.incomparable:
            return self.network.incomparable
        own = methods.source(self.frames, self.variants[variant].method.name) == published.PAPER
        is_alike = own or self.variants[variant].preset == "published-recipe"
        return None if is_alike else "trained in another way than the printed row"

    def _effect(self, variant: str) -> Row:
        """Return the measured effects, what may be said of them as footnotes."""
        found = self.effects.reproduced(variant)
        remarks = [one if isinstance(one, str) else one.finding for one in found if one]
        metric = self.network.metric
        shown = tuple(entries.measured_effect(one, metric) for one in found)
        return Row(shown, remarks=remarks)

    def _negative(self, variant: str) -> Row | None:
        places, shares = self.grid.places(variant), self.grid.negative
        if not any(place in shares for place in places):
            return None
        return Row(tuple(entries.share(shares.get(place)) for place in places))


def _says_something(row: Row) -> bool:
    """Return whether any entry of a row has text."""
    return any(entry.text for entry in row.entries)
