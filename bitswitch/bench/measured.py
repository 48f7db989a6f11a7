"""What a benchmark returns: a table to read, and figures to check."""

from dataclasses import dataclass
from typing import Any

from bitswitch.text import aligned


@dataclass(frozen=True)
class Measured:
    """Result of one benchmark."""

    title: str
    """What was measured, on which machine."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    figures: dict[str, float]
    """Name to number; units end the names, ratios have none."""

    def render(self) -> str:
        """Return the table as aligned text.

        >>> print(Measured("Title", ("what", "time"), (("a", "1.0 s"),), {}).render())
        Title
        what  time
        a     1.0 s
        """
        return "\n".join([self.title, *aligned((self.columns, *self.rows))])

    def as_json(self) -> dict[str, Any]:
        """Return one JSON object with all of it."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "figures": self.figures}
