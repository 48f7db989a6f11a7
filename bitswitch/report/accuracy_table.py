"""Arms by bit-widths: Table 4 in the layout of the publication, and every other experiment."""

from collections.abc import Iterable, Mapping

from bitswitch.report import entries, statistics
from bitswitch.report.entries import is_best
from bitswitch.report.frames import Frames
from bitswitch.report.statistics import Effect
from bitswitch.report.table import DASH, Entry, Footnotes, Group, Line, Section, Table
from bitswitch.report.values import FP, Network, Place, Sample, Values

Column = tuple[str, str]
"""Bit set and policy."""

Entries = tuple[Entry, ...]

VERDICTS = ("match", "higher", "lower")

NEGATIVE = "λ < 0"
"""Kind of the row that says how often Eq. 6 turned negative."""

NOTES = {
    "always": "Top-1 in percent on the test split after the last epoch: "
    "mean ± standard deviation over seeds (n).",
    "bold": "Bold: highest mean of a network in its column; this claims no significance.",
    "effect": "Effect: the row minus the first row with the same bit set, paired by seed, "
    "± half its 95 % confidence interval.",
    "verdict": "Match: the published value lies within the larger of the 95 % confidence "
    "interval over seeds and the binomial noise of the test set.",
    "negative": f"{NEGATIVE}: share of steps in which the learning rate of the scales is negative.",
    "embedded": "Embedded data: training is real, but too small and too short to confirm or refute "
    "a published number. In some hundred steps the narrow activation scales, whose learning rate "
    "ALRS divides by up to 1000, hardly leave their initial values.",
    "misprint": "The publication prints MobileNetV2's {8,6,4} results under a {4,3,2} header.",
}


def build(frames: Frames, experiment: str, name: str) -> Table:
    """Return the table of one experiment.

    Args:
        frames: Collected results.
        experiment: Key of the experiment in the suite.
        name: Of the table.
    """
    values = Values(frames, experiment)
    footnotes = Footnotes()
    sections = [_SectionBuilder(values, network, footnotes).build() for network in values.networks]
    return Table(
        name=name,
        title=values.recipe.title,
        stamp=stamp(frames, (network.data for network in values.networks)),
        sections=tuple(sections),
        notes=tuple(NOTES[key] for key in _notes(values, sections)),
        footnotes=footnotes.listed(),
    )


def stamp(frames: Frames, data: Iterable[str]) -> str:
    """Return what every table and figure says of its origin."""
    suite = frames.suite
    scale = "embedded data, not the published scale" if suite.data == "embedded" else "full scale"
    names = "; ".join(dict.fromkeys(text for text in data if text))
    return f"suite {suite.name} · {names} · {scale}" if names else f"suite {suite.name} · {scale}"


def _notes(values: Values, sections: list[Section]) -> list[str]:
    """Return the keys of the notes that apply."""
    kinds = {line.kind for section in sections for line in section.lines}
    cells = [entry for s in sections for line in s.lines for entry in line.entries]
    chosen = {
        "always": True,
        "verdict": any(entry.tone in VERDICTS for entry in cells),
        "effect": any(kind.startswith("effect") for kind in kinds),
        "bold": any(entry.bold for entry in cells),
        "negative": NEGATIVE in kinds,
        "embedded": values.frames.suite.data == "embedded",
        "misprint": "mobilenetv2" in values.printed,
    }
    return [key for key, applies in chosen.items() if applies]


class _SectionBuilder:
    """Builds the rows of one network."""

    def __init__(self, values: Values, network: Network, footnotes: Footnotes) -> None:
        self.network = network
        self.footnotes = footnotes
        self.arms = {key: arm.title for key, arm in values.recipe.arms.items()}
        self.samples: Mapping[Place, Sample] = values.samples.get(network.name or "", {})
        self.printed: Mapping[Place, float] = values.printed.get(network.published or "", {})
        self.shares: Mapping[Place, float] = values.negative_shares.get(network.name or "", {})
        places = [*self.printed, *self.samples]
        columns = dict.fromkeys((place.bitset, place.policy) for place in places)
        self.columns: list[Column] = [column for column in columns if column != FP]
        self.has_float = FP in columns

    def build(self) -> Section:
        """Return the section."""
        lines = [line for arm in self.arms for line in self._arm_lines(arm)]
        return Section(self.network.title, self._about(), self._groups(), tuple(lines))

    def _about(self) -> str:
        network = self.network
        parts = []
        if network.published_data and network.published_data != network.data:
            parts.append(f"published: {network.published_data}")
        if network.data:
            parts.append(f"reproduced: {network.data}")
        return " · ".join(parts)

    def _groups(self) -> tuple[Group, ...]:
        """Return one group per bit set, full precision last."""
        by_set: dict[str, list[str]] = {}
        for bitset, policy in self.columns:
            by_set.setdefault(bitset, []).append(f"w{policy}a{policy}")
        groups = [Group(bitset, tuple(names)) for bitset, names in by_set.items()]
        return (*groups, Group("", ("FP",))) if self.has_float else tuple(groups)

    def _arm_lines(self, arm: str) -> list[Line]:
        """Return all rows of one arm; the first one carries its title."""
        effects = self._reproduced_effects(arm)
        findings = {"effect, reproduced": [one.finding for one in effects if one]}
        rows = {
            "published": self._published(arm),
            "reproduced": self._reproduced(arm),
            "difference": self._difference(arm),
            "effect, published": self._published_effect(arm),
            "effect, reproduced": tuple(map(entries.measured_effect, effects)),
            NEGATIVE: self._negative(arm),
        }
        kept = [(kind, row) for kind, row in rows.items() if row and _says_something(row)]
        titles = [self.arms[arm], *("" for _ in kept[1:])]
        return [
            Line(title, kind, row, self._marks(findings.get(kind, [])), rule=title != "")
            for title, (kind, row) in zip(titles, kept, strict=True)
        ]

    def _marks(self, texts: list[str]) -> tuple[str, ...]:
        """Return the letters of footnotes, each once."""
        return tuple(dict.fromkeys(map(self.footnotes.mark, texts)))

    def _is_printed(self, arm: str) -> bool:
        return any(place in self.printed for place in self._places(arm))

    def _places(self, arm: str) -> list[Place]:
        """Return the places of one arm's row, full precision last."""
        places = [Place(arm, *column) for column in self.columns]
        return [*places, Place(arm, *FP)] if self.has_float else places

    def _sample(self, place: Place) -> Sample | None:
        """Return what was measured; all arms share the full-precision runs."""
        is_float = (place.bitset, place.policy) == FP
        return self.samples.get(place._replace(arm="float") if is_float else place)

    def _published(self, arm: str) -> Entries | None:
        if not self._is_printed(arm):
            return None
        return tuple(
            entries.printed(self.printed.get(place), is_best(place, self.printed))
            for place in self._places(arm)
        )

    def _reproduced(self, arm: str) -> Entries:
        places = self._places(arm)
        if self.network.name is None:
            return (Entry(f"{DASH} not in this suite", tone="note", span=len(places)),)
        means = {key: round(s.mean, 2) for key, s in self.samples.items() if s.values}
        return tuple(
            entries.measured(self._sample(place), is_best(place, means), self.footnotes)
            for place in places
        )

    def _difference(self, arm: str) -> Entries | None:
        """Return reproduced minus published, or why there is none."""
        places = self._places(arm)
        if self.network.name is None or not self._is_printed(arm):
            return None
        if self.network.incomparable:
            text = f"{DASH} {self.network.incomparable}"
            return (Entry(text, tone="note", span=len(places)),)
        return tuple(
            entries.difference(self._sample(place), self.printed.get(place)) for place in places
        )

    def _published_effect(self, arm: str) -> Entries:
        """Return the printed effect of ``arm`` over the first arm with the same bit set."""
        return tuple(
            entries.printed_effect(self.printed.get(place), self.printed.get(reference))
            if reference
            else Entry()
            for place, reference in self._pairs(arm)
        )

    def _reproduced_effects(self, arm: str) -> list[Effect | None]:
        """Return the measured effects of ``arm`` over the first arm with the same bit set."""
        found: list[Effect | None] = []
        for place, reference in self._pairs(arm):
            ours, theirs = self._sample(place), self._sample(reference) if reference else None
            if ours is None or theirs is None:
                found.append(None)
            else:
                found.append(statistics.effect(ours.values, theirs.values))
        return found

    def _pairs(self, arm: str) -> list[tuple[Place, Place | None]]:
        """Return each place of ``arm`` with the same column of the first arm that has it."""
        known = {*self.samples, *self.printed}
        pairs: list[tuple[Place, Place | None]] = []
        for place in self._places(arm):
            others = (place._replace(arm=other) for other in self.arms)
            first = next((other for other in others if other in known), place)
            is_float = (place.bitset, place.policy) == FP
            pairs.append((place, None if is_float or first == place else first))
        return pairs

    def _negative(self, arm: str) -> Entries | None:
        places = self._places(arm)
        if not any(place in self.shares for place in places):
            return None
        return tuple(entries.share(self.shares.get(place)) for place in places)


def _says_something(row: Entries) -> bool:
    """Return whether any entry of a row has text."""
    return any(entry.text for entry in row)
