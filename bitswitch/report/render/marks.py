"""How a cell says whether it agrees with the number that is printed of it."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from bitswitch.report.statistics import Agreement

Word = Agreement | Literal["not comparable"]

SIGNS: dict[Word, str] = {
    "match": "=",
    "higher": "↑",
    "lower": "↓",
    "inconclusive": "?",
    "not comparable": "○",
}
"""Stand behind reproduced numbers; colour only repeats what they say."""

MEANINGS: dict[Word, str] = {
    "match": "the printed value lies inside the interval",
    "higher": "the printed value lies outside the interval, and ours is higher",
    "lower": "the printed value lies outside the interval, and ours is lower",
    "inconclusive": "it lies inside only because our seeds are noisier than the test set",
    "not comparable": "the two were not made in the same way, or our noise is not known",
}

INTERVAL = (
    "The interval is the 95 % confidence interval of the mean over seeds, or the noise of the test "
    "set where that is wider: the binomial 95 % half-width of the printed value on as many examples"
)


class Mark(NamedTuple):
    """What is said of one cell."""

    word: Word
    why: str = ""
    """Why it is not comparable."""

    @property
    def sign(self) -> str:
        """What stands behind the number."""
        return SIGNS[self.word]

    @property
    def key(self) -> str:
        """Name of its style."""
        return self.word.replace(" ", "")

    @property
    def meaning(self) -> str:
        """What its word says."""
        return MEANINGS[self.word]

    @property
    def spoken(self) -> str:
        """What a reader is told who asks for more.

        >>> Mark("not comparable", "one seed").spoken
        'not comparable: one seed'
        """
        return f"{self.word}: {self.why or self.meaning}"


def explained(marks: Iterable[Mark]) -> list[str]:
    """Return what the signs of ``marks`` mean, and what their interval is where one decides.

    >>> explained([Mark("not comparable", "one seed"), Mark("not comparable", "embedded data")])
    ['Beside printed values: ○ not comparable (one seed; embedded data).']
    """
    reasons: dict[Word, dict[str, None]] = {}
    for mark in marks:
        reasons.setdefault(mark.word, {})[mark.why or mark.meaning] = None
    if not reasons:
        return []
    listed = [
        f"{SIGNS[word]} {word} ({'; '.join(reasons[word])})" for word in SIGNS if word in reasons
    ]
    signs = f"Beside printed values: {', '.join(listed)}."
    return [signs] if reasons.keys() == {"not comparable"} else [signs, f"{INTERVAL}."]
