"""What is behind the cells of a table, in attributes that scripts of a page read.

The same runs are behind many cells: a table names each once, and cells count them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from bitswitch.report.render.table import Detail, Entry, Line, Table, Value

SEPARATOR = "|"
"""Between names, and between values."""


@dataclass(frozen=True)
class Behind:
    """Attributes of one table, its rows and its cells."""

    jobs: dict[str, int]
    """Number of every job with what its values are called."""
    marks: dict[str, int]
    """Number of what is said of reproduced cells."""

    @classmethod
    def of(cls, table: Table) -> "Behind":
        """Return those of ``table``."""
        lines = [line for section in table.sections for line in section.lines]
        cells = [entry for line in lines for entry in line.entries]
        places: list[Entry | Line] = [*lines, *cells]
        details = [one.detail for one in places if one.detail]
        jobs = dict.fromkeys(_named(value) for detail in details for value in detail.values)
        marks = dict.fromkeys(entry.mark.spoken for entry in cells if entry.mark)
        return cls(_numbered(jobs), _numbered(marks))

    @property
    def names(self) -> Markup:
        """Attributes of the table: what its numbers stand for."""
        told = {"jobs": coded(self.jobs), "marks": SEPARATOR.join(self.marks)}
        return _attributes(told)

    def mark(self, entry: Entry) -> int:
        """Return the number of what is said of a cell that has a mark."""
        assert entry.mark is not None
        return self.marks[entry.mark.spoken]

    def __call__(self, place: Entry | Line) -> Markup:
        """Return the attributes of a cell or a row; none where nothing is behind it."""
        if place.detail is None:
            return Markup()
        about = place.detail
        values = SEPARATOR.join(self._values(about))
        return _attributes({"n": about.count, "interval": about.interval, "values": values})

    def _values(self, about: Detail) -> Iterator[str]:
        """Yield number and text of every value, the number only where it is not the next one."""
        expected = None
        for value in about.values:
            number = self.jobs[_named(value)]
            yield value.text if number == expected else f"{number}={value.text}"
            expected = number + 1


def coded(names: Iterable[str]) -> str:
    """Return names one after another: how many letters each shares with the last, and the rest.

    >>> coded(["sort-resnet8-s0", "sort-resnet8-s1", "random"])
    '0~sort-resnet8-s0|14~1|0~random'
    """
    before, found = "", []
    for name in names:
        same = _shared(before, name)
        found.append(f"{same}~{name[same:]}")
        before = name
    return SEPARATOR.join(found)


def decoded(text: str) -> list[str]:
    """Return the names that ``coded`` has written.

    >>> decoded("0~sort-resnet8-s0|14~1|0~random")
    ['sort-resnet8-s0', 'sort-resnet8-s1', 'random']
    """
    before, found = "", []
    for one in text.split(SEPARATOR):
        shared, _, rest = one.partition("~")
        before = before[: int(shared)] + rest
        found.append(before)
    return found


def repeated(texts: Iterable[str]) -> str:
    """Return texts one after another, neighbours that are the same as their number and one of them.

    >>> repeated(["complete", "complete", "", "2*3"])
    '2*complete||1*2*3'
    """
    runs = ((text, sum(1 for _ in same)) for text, same in groupby(texts))
    return SEPARATOR.join(
        f"{count}*{text}" if count > 1 or "*" in text else text for text, count in runs
    )


def _shared(one: str, other: str) -> int:
    """Return how many letters two names have in common at their beginnings."""
    both = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(both) if a != b), min(len(one), len(other)))


def spans(numbers: Iterable[int]) -> str:
    """Return numbers, neighbours as spans.

    >>> spans([3, 4, 5, 9, 1])
    '3-5 9 1'
    """
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return " ".join(f"{one[0]}-{one[-1]}" if len(one) > 1 else str(one[0]) for one in found)


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}


def _named(value: Value) -> str:
    """Return a job and what its value is called; the identifier holds no space."""
    return f"{value.run} {value.name}"


def _attributes(told: dict[str, str]) -> Markup:
    return Markup().join(
        Markup(' data-{}="{}"').format(name, text) for name, text in told.items() if text
    )
